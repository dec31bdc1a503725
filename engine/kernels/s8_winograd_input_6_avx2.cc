// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

inline __m256i four_times(__m256i x) { return _mm256_slli_epi16(x, 2); }

// B^T d of six values, in 16 bits: they hold all that comes of int8.
inline void transform_line(const __m256i (&d)[6], __m256i (&t)[6]) {
  const __m256i even_half = _mm256_sub_epi16(d[4], d[2]);
  const __m256i odd_half = _mm256_sub_epi16(d[3], d[1]);
  const __m256i odd_double = _mm256_add_epi16(odd_half, odd_half);
  const __m256i even = _mm256_sub_epi16(d[4], four_times(d[2]));
  const __m256i odd = _mm256_sub_epi16(d[3], four_times(d[1]));
  t[0] = _mm256_add_epi16(four_times(_mm256_sub_epi16(d[0], d[2])), even_half);
  t[1] = _mm256_add_epi16(even, odd);
  t[2] = _mm256_sub_epi16(even, odd);
  t[3] = _mm256_add_epi16(even_half, odd_double);
  t[4] = _mm256_sub_epi16(even_half, odd_double);
  t[5] = _mm256_sub_epi16(_mm256_sub_epi16(d[5], d[3]), four_times(odd_half));
}

}  // namespace

void s8_winograd_input_6_avx2(const WinogradPatch& patch, const std::int8_t* pixels,
                              std::int16_t* values, std::size_t position_stride) {
  __m256i columns[6][6];  // [column][row after the transform]
  for (std::size_t x = 0; x < 6; ++x) {
    __m256i column[6];
    for (std::size_t y = 0; y < 6; ++y) {
      const std::int8_t* pixel = pixels + y * patch.row_stride + x * patch.pixel_stride;
      column[y] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
    }
    transform_line(column, columns[x]);
  }
  for (std::size_t y = 0; y < 6; ++y) {
    const __m256i row[6] = {columns[0][y], columns[1][y], columns[2][y],
                            columns[3][y], columns[4][y], columns[5][y]};
    __m256i transformed[6];
    transform_line(row, transformed);
    for (std::size_t x = 0; x < 6; ++x) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + (y * 6 + x) * position_stride),
                          transformed[x]);
    }
  }
}

}  // namespace cleave::kernels
