// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstring>

#include "engine/kernels/resize.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kChannels = 3;

// Two pixels, a lane for each channel and one that is empty.
inline __m256i load_pair(const std::uint8_t* pixel) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixel));
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  return _mm256_cvtepu8_epi32(_mm_shuffle_epi8(bytes, spread));
}

// Each of two weights in four lanes.
inline __m256i load_weights(const std::uint32_t* weights) {
  std::int64_t both;
  std::memcpy(&both, weights, sizeof both);
  return _mm256_permutevar8x32_epi32(_mm256_set1_epi64x(both),
                                     _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

inline __m128i round(__m128i sums) {
  const __m128i half = _mm_set1_epi32(1 << (kResizeFractionBits - 1));
  const __m128i rounded = _mm_srli_epi32(_mm_add_epi32(sums, half), kResizeFractionBits);
  // Signed to unsigned saturation twice: sums are below 2^10 by now.
  const __m128i halves = _mm_packus_epi32(rounded, rounded);
  return _mm_packus_epi16(halves, halves);
}

}  // namespace

void u8_resize_line_avx2(const ResizeAxis& axis, const std::uint8_t* row, std::uint8_t* line) {
  constexpr std::ptrdiff_t kLoaded = 8;
  const std::uint8_t* const row_end = row + axis.inputs * kChannels;
  for (std::size_t j = 0; j < axis.outputs; ++j, line += kChannels) {
    const std::uint8_t* pixel = row + std::size_t{axis.firsts[j]} * kChannels;
    const std::uint32_t* weight = axis.weights + axis.offsets[j];
    const std::uint32_t* const weight_end = axis.weights + axis.offsets[j + 1];
    __m256i sums = _mm256_setzero_si256();
    for (; weight_end - weight >= 2 && row_end - pixel >= kLoaded;
         weight += 2, pixel += 2 * kChannels) {
      sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(load_pair(pixel), load_weights(weight)));
    }
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    for (; weight < weight_end; ++weight, pixel += kChannels) {
      const __m128i last = _mm_setr_epi32(pixel[0], pixel[1], pixel[2], 0);
      sum = _mm_add_epi32(sum, _mm_mullo_epi32(last, _mm_set1_epi32(static_cast<int>(*weight))));
    }
    const int bytes = _mm_cvtsi128_si32(round(sum));
    std::memcpy(line, &bytes, kChannels);
  }
}

}  // namespace cleave::kernels
