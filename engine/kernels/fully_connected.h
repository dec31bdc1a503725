// SPDX-License-Identifier: Apache-2.0
//
// Fully connected layers on few rows: a stream of weights, read once, straight from the model file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

struct FullyConnectedRows {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t batch = 0;
  const float* input = nullptr;   // [batch][inputs]
  const void* weights = nullptr;  // [outputs][inputs], of the kernel's type
  const float* scale = nullptr;   // [outputs]; only where weights are int8
  const float* bias = nullptr;    // [outputs], or nullptr for zero
  float minimum = 0;
  float maximum = 0;
  float* output = nullptr;  // [batch][outputs]
};

// output[b][o] = clamp(scale[o] * sum over i of weights[o][i] * input[b][i] + bias[o]) for o from
// `first` to `last`. The order of the sum depends on `inputs` alone, so that a result is the same
// in every batch and on every number of threads. Reads nothing beyond the tensors.
using FullyConnected = void(const FullyConnectedRows& layer, std::size_t first, std::size_t last);
FullyConnected f32_fully_connected_scalar;
FullyConnected f32_fully_connected_4x4_avx2;
FullyConnected f32_fully_connected_4x4_avx512;
FullyConnected f32_fully_connected_4x4_neon;
FullyConnected f16_fully_connected_scalar;
FullyConnected f16_fully_connected_4x4_avx2;
FullyConnected f16_fully_connected_4x4_avx512;
FullyConnected f16_fully_connected_4x4_neon;
FullyConnected s8_fully_connected_scalar;
FullyConnected s8_fully_connected_4x4_avx2;
FullyConnected s8_fully_connected_4x4_avx512;
FullyConnected s8_fully_connected_4x4_neon;

}  // namespace cleave::kernels
