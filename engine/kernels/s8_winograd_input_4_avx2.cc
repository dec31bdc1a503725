// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

// B^T d of four values, in 16 bits: they hold all that comes of int8.
inline void transform_line(const __m256i (&d)[4], __m256i (&t)[4]) {
  t[0] = _mm256_sub_epi16(d[0], d[2]);
  t[1] = _mm256_add_epi16(d[1], d[2]);
  t[2] = _mm256_sub_epi16(d[2], d[1]);
  t[3] = _mm256_sub_epi16(d[1], d[3]);
}

}  // namespace

void s8_winograd_input_4_avx2(const WinogradPatch& patch, const std::int8_t* pixels,
                              std::int16_t* values, std::size_t position_stride) {
  __m256i columns[4][4];  // [column][row after the transform]
  for (std::size_t x = 0; x < 4; ++x) {
    __m256i column[4];
    for (std::size_t y = 0; y < 4; ++y) {
      const std::int8_t* pixel = pixels + y * patch.row_stride + x * patch.pixel_stride;
      column[y] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
    }
    transform_line(column, columns[x]);
  }
  for (std::size_t y = 0; y < 4; ++y) {
    const __m256i row[4] = {columns[0][y], columns[1][y], columns[2][y], columns[3][y]};
    __m256i transformed[4];
    transform_line(row, transformed);
    for (std::size_t x = 0; x < 4; ++x) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + (y * 4 + x) * position_stride),
                          transformed[x]);
    }
  }
}

}  // namespace cleave::kernels
