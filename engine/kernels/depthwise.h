// SPDX-License-Identifier: Apache-2.0
//
// Depthwise convolutions on int8 tensors: a run of output pixels from the input pixels under their
// windows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

// Channels that a kernel takes at once; a layer's tables are filled up to a multiple of it.
inline constexpr std::size_t kDepthwiseChannels = 16;

struct S8DepthwiseLayer {
  std::size_t channels = 0;
  std::size_t tap_pairs = 0;  // half the taps, rounded up
  // [block of 16 channels][pair of taps][channel of the block][tap of the pair]; an odd last tap
  // has weights of 0 beside it.
  const std::int16_t* weights = nullptr;
  const std::int32_t* bias = nullptr;  // [channels, filled up]: less zero point * sum of weights
  const float* scale = nullptr;        // [channels, filled up]: input * kernel / output scale
  std::int32_t zero_point = 0;         // of the output
  std::int32_t minimum = -128;
  std::int32_t maximum = 127;
};

// For each pixel p of `pixels`:
// output[p][c] = clamp(round(scale[c] * (bias[c] + sum over t of weights[c][t] *
//                taps[t][p * step + c])) + zero_point),
// rounded to the nearest, ties to even; the same numbers from every implementation. `taps` has
// 2 * tap_pairs entries. Reads up to 15 bytes behind the last channel of a tap; writes nothing but
// pixels * channels bytes.
using S8Depthwise = void(const S8DepthwiseLayer& layer, const std::int8_t* const* taps,
                         std::size_t step, std::size_t pixels, std::int8_t* output);
S8Depthwise s8_depthwise_scalar;
S8Depthwise s8_depthwise_16_avx2;
S8Depthwise s8_depthwise_16_avx512;

}  // namespace cleave::kernels
