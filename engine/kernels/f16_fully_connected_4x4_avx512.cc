// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/fully_connected_rows.h"

namespace cleave::kernels {
namespace {

struct F16Lanes {
  using Weight = std::uint16_t;
  using Vector = __m512;
  static constexpr std::size_t kLanes = 16;
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static Vector load_weights(const Weight* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  // A line of the cache.
  static constexpr std::size_t kGroup = 2;
  static constexpr std::size_t kAheadBytes = 1024;
  static void load_weights(const Weight* from, Vector (&to)[kGroup]) {
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroup; ++g) to[g] = load_weights(from + g * kLanes);
  }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static float widen(Weight weight) { return _cvtsh_ss(weight); }
};

}  // namespace

void f16_fully_connected_4x4_avx512(const FullyConnectedRows& layer, std::size_t first,
                                    std::size_t last) {
  fully_connected_rows<F16Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
