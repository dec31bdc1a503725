// SPDX-License-Identifier: Apache-2.0
//
// Sixteen lanes, as the kernel templates see them. Only for files that are compiled for
// AVX-512.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

struct Avx512Vector {
  static constexpr std::size_t kLanes = 16;
  __m512 value;

  static Avx512Vector load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Avx512Vector all(float value) { return {_mm512_set1_ps(value)}; }
  void store(float* to) const { _mm512_storeu_ps(to, value); }
  // Rounded to nearest, ties to even. REQUIRES: within int8.
  void store(std::int8_t* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
  }
  friend Avx512Vector operator+(Avx512Vector a, Avx512Vector b) {
    return {_mm512_add_ps(a.value, b.value)};
  }
  friend Avx512Vector operator-(Avx512Vector a, Avx512Vector b) {
    return {_mm512_sub_ps(a.value, b.value)};
  }
  friend Avx512Vector fma(Avx512Vector a, Avx512Vector b, Avx512Vector c) {
    return {_mm512_fmadd_ps(a.value, b.value, c.value)};
  }
  friend Avx512Vector clamp(Avx512Vector x, Avx512Vector low, Avx512Vector high) {
    return {_mm512_min_ps(_mm512_max_ps(x.value, low.value), high.value)};
  }
};

}  // namespace cleave::kernels
