// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/fully_connected_rows.h"

namespace cleave::kernels {
namespace {

struct S8Lanes {
  using Weight = std::int8_t;
  using Vector = __m512;
  static constexpr std::size_t kLanes = 16;
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static Vector load_weights(const Weight* from) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  // A line of the cache.
  static constexpr std::size_t kGroup = 4;
  static constexpr std::size_t kAheadBytes = 1024;
  static void load_weights(const Weight* from, Vector (&to)[kGroup]) {
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroup; ++g) to[g] = load_weights(from + g * kLanes);
  }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static float widen(Weight weight) { return static_cast<float>(weight); }
};

}  // namespace

void s8_fully_connected_4x4_avx512(const FullyConnectedRows& layer, std::size_t first,
                                   std::size_t last) {
  fully_connected_rows<S8Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
