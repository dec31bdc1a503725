// SPDX-License-Identifier: Apache-2.0
//
// The parts of a Winograd convolution F(4x4, 3x3): of each 6x6 patch of the input, 16 channels at a
// time, 36 transformed values; for each of the 36 positions a matrix product over channels; of 36
// products 4x4 output pixels. Every kernel file implements one part for one instruction set.
#pragma once

#include <cstddef>

namespace cleave::kernels {

inline constexpr std::size_t kWinogradPositions = 36;
inline constexpr std::size_t kWinogradPatchSide = 6;
inline constexpr std::size_t kWinogradOutputSide = 4;
// Channels that one call of a transform takes.
inline constexpr std::size_t kWinogradChannels = 16;

// How far apart, in floats, the rows and the pixels of a picture are.
struct WinogradPatch {
  std::size_t row_stride = 0;
  std::size_t pixel_stride = 0;
};

// values[position * position_stride + channel] = (B^T d B) of the 6x6 patch at `pixels`, for 16
// channels.
using WinogradInput = void(const WinogradPatch& patch, const float* pixels, float* values,
                           std::size_t position_stride);
WinogradInput f32_winograd_input_4x3_scalar;
WinogradInput f32_winograd_input_4x3_avx2;
WinogradInput f32_winograd_input_4x3_avx512;
WinogradInput f32_winograd_input_4x3_neon;

// The 4x4 pixels at `pixels` = clamp(A^T m A + bias) of products[position * position_stride +
// channel], for 16 channels.
using WinogradOutput = void(const float* products, std::size_t position_stride,
                            const WinogradPatch& patch, const float* bias, float minimum,
                            float maximum, float* pixels);
WinogradOutput f32_winograd_output_4x3_scalar;
WinogradOutput f32_winograd_output_4x3_avx2;
WinogradOutput f32_winograd_output_4x3_avx512;
WinogradOutput f32_winograd_output_4x3_neon;

// values[position] = (G g G^T) of the 3x3 kernel whose elements are `stride` floats apart, rounded
// once from double.
void f32_winograd_weights_4x3(const float* kernel, std::size_t stride,
                              float (&values)[kWinogradPositions]);

}  // namespace cleave::kernels
