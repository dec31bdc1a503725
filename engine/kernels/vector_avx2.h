// SPDX-License-Identifier: Apache-2.0
//
// Eight lanes, as the kernel templates see them. Only for files that are compiled for
// AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

struct Avx2Vector {
  static constexpr std::size_t kLanes = 8;
  __m256 value;

  static Avx2Vector load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Avx2Vector all(float value) { return {_mm256_set1_ps(value)}; }
  void store(float* to) const { _mm256_storeu_ps(to, value); }
  // Rounded to nearest, ties to even. REQUIRES: within int8.
  void store(std::int8_t* to) const {
    const __m256i steps = _mm256_cvtps_epi32(value);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(steps), _mm256_extracti128_si256(steps, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(halves, halves));
  }
  friend Avx2Vector operator+(Avx2Vector a, Avx2Vector b) {
    return {_mm256_add_ps(a.value, b.value)};
  }
  friend Avx2Vector operator-(Avx2Vector a, Avx2Vector b) {
    return {_mm256_sub_ps(a.value, b.value)};
  }
  friend Avx2Vector fma(Avx2Vector a, Avx2Vector b, Avx2Vector c) {
    return {_mm256_fmadd_ps(a.value, b.value, c.value)};
  }
  friend Avx2Vector clamp(Avx2Vector x, Avx2Vector low, Avx2Vector high) {
    return {_mm256_min_ps(_mm256_max_ps(x.value, low.value), high.value)};
  }
};

}  // namespace cleave::kernels
