// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/resize.h"

namespace cleave::kernels {

void u8_weigh_line_avx2(std::uint32_t weight, const std::uint8_t* line, std::size_t count,
                        std::uint32_t* sums) {
  constexpr std::size_t kLanes = 8;
  const __m256i weights = _mm256_set1_epi32(static_cast<int>(weight));
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i values =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(line + i)));
    auto* place = reinterpret_cast<__m256i*>(sums + i);
    _mm256_storeu_si256(
        place, _mm256_add_epi32(_mm256_loadu_si256(place), _mm256_mullo_epi32(weights, values)));
  }
  for (; i < count; ++i) sums[i] += weight * line[i];
}

}  // namespace cleave::kernels
