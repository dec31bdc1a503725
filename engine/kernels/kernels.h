// SPDX-License-Identifier: Apache-2.0
//
// Kernels of our own: for what XNNPACK does not compute. One kernel a file, named by type,
// operation and instruction set. Plain functions over rows; who calls them splits the work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/tensor.h"

namespace cleave::kernels {

// A window that slides over one picture.
struct SlidingWindow {
  fbs::Shape input;
  fbs::Shape output;
  fbs::Window window;
  fbs::Padding padding;
};

// Row `y` of the output of a pool over `picture` ([height][width][channels]), clamped.
// REQUIRES: every window meets the input.
using PoolRow = void(const SlidingWindow& pool, const float* picture, std::uint32_t y,
                     float minimum, float maximum, float* row);

// Padding never wins. NaN in a window may be lost.
PoolRow f32_max_pool_row_scalar;
// Padding is not counted.
PoolRow f32_average_pool_row_scalar;

// The same on int8 tensors of one scale.
using Int8PoolRow = void(const SlidingWindow& pool, const std::int8_t* picture, std::uint32_t y,
                         std::int8_t minimum, std::int8_t maximum, std::int8_t* row);
Int8PoolRow s8_max_pool_row_scalar;

struct LrnConstants {
  std::uint32_t size = 5;
  float alpha = 1e-4F;
  float beta = 0.75F;
  float bias = 1.0F;
};

// Local response normalization across channels (Krizhevsky et al. 2012, section 3.3, with alpha
// divided by the size of the window as ONNX and Caffe do):
//   y[c] = x[c] / (bias + alpha / size * sum of x[i]^2)^beta,
// i from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2), as far as they are channels.
// Over `pixels` pixels of `channels` channels. The sum of a channel is always added in the order of
// the channels.
void f32_lrn_scalar(const LrnConstants& lrn, const float* input, std::size_t pixels,
                    std::size_t channels, float* output);

}  // namespace cleave::kernels
