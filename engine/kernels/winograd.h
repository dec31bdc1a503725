// SPDX-License-Identifier: Apache-2.0
//
// The parts of Winograd convolutions on patches of 6x6 pixels: F(4x4, 3x3), "4x3", which makes 4x4
// output pixels of a patch, and F(2x2, 5x5), "2x5", which makes 2x2; and on patches of 4x4 pixels:
// F(2x2, 3x3), "2x3". Of each patch, 16 channels at a time, as many transformed values as pixels;
// for each of these positions a matrix product over channels; of the products the output pixels.
// Every kernel file implements one part for one instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/kernels/epilogue.h"

namespace cleave::kernels {

// Of the larger patches.
inline constexpr std::size_t kMostWinogradPositions = 36;
inline constexpr std::size_t kMostWinogradPatchSide = 6;
// Channels that one call of a transform takes.
inline constexpr std::size_t kWinogradChannels = 16;

// How far apart, in elements, the rows and the pixels of a picture are.
struct WinogradPatch {
  std::size_t row_stride = 0;
  std::size_t pixel_stride = 0;
};

// values[position * position_stride + channel] = (B^T d B) of the patch at `pixels`, for 16
// channels. Of int8, exact: no value is larger than 128 times the gains of its row and column.
template <class Pixel, class Value>
using WinogradInput = void(const WinogradPatch& patch, const Pixel* pixels, Value* values,
                           std::size_t position_stride);
using F32WinogradInput = WinogradInput<float, float>;
using S8WinogradInput = WinogradInput<std::int8_t, std::int16_t>;
F32WinogradInput f32_winograd_input_6_scalar;
F32WinogradInput f32_winograd_input_4_scalar;
F32WinogradInput f32_winograd_input_6_avx2;
F32WinogradInput f32_winograd_input_4_avx2;
F32WinogradInput f32_winograd_input_6_avx512;
F32WinogradInput f32_winograd_input_4_avx512;
F32WinogradInput f32_winograd_input_6_neon;
F32WinogradInput f32_winograd_input_4_neon;
S8WinogradInput s8_winograd_input_6_scalar;
S8WinogradInput s8_winograd_input_4_scalar;
S8WinogradInput s8_winograd_input_6_avx2;
S8WinogradInput s8_winograd_input_4_avx2;

// The sum of the magnitudes in a row of B^T.
[[nodiscard]] constexpr int winograd_gain(std::size_t patch_side, std::size_t row) {
  if (patch_side == 4) return 2;
  return row == 3 || row == 4 ? 6 : 10;
}

// The pixels at `pixels`, 4x4 or 2x2 = epilogue of A^T m A of products[position * position_stride +
// channel], for 16 channels.
template <class Pixel>
using WinogradOutput = void(const float* products, std::size_t position_stride,
                            const WinogradPatch& patch, const Epilogue& epilogue, Pixel* pixels);
using F32WinogradOutput = WinogradOutput<float>;
using S8WinogradOutput = WinogradOutput<std::int8_t>;
F32WinogradOutput f32_winograd_output_4x3_scalar;
F32WinogradOutput f32_winograd_output_4x3_avx2;
F32WinogradOutput f32_winograd_output_4x3_avx512;
F32WinogradOutput f32_winograd_output_4x3_neon;
F32WinogradOutput f32_winograd_output_2x5_scalar;
F32WinogradOutput f32_winograd_output_2x5_avx2;
F32WinogradOutput f32_winograd_output_2x5_avx512;
F32WinogradOutput f32_winograd_output_2x5_neon;
F32WinogradOutput f32_winograd_output_2x3_scalar;
F32WinogradOutput f32_winograd_output_2x3_avx2;
F32WinogradOutput f32_winograd_output_2x3_avx512;
F32WinogradOutput f32_winograd_output_2x3_neon;
S8WinogradOutput s8_winograd_output_4x3_scalar;
S8WinogradOutput s8_winograd_output_4x3_avx2;
S8WinogradOutput s8_winograd_output_4x3_avx512;
S8WinogradOutput s8_winograd_output_2x5_scalar;
S8WinogradOutput s8_winograd_output_2x5_avx2;
S8WinogradOutput s8_winograd_output_2x5_avx512;
S8WinogradOutput s8_winograd_output_2x3_scalar;
S8WinogradOutput s8_winograd_output_2x3_avx2;
S8WinogradOutput s8_winograd_output_2x3_avx512;

// values[position] = G g G^T of a kernel of side x side elements, by rows, for patches of
// patch_side: 6 with a side of 3 or 5, 4 with a side of 3. REQUIRES: kernel and values are as long
// as that.
void winograd_weights(std::span<const double> kernel, std::size_t side, std::size_t patch_side,
                      std::span<double> values);

}  // namespace cleave::kernels
