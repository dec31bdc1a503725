// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/fully_connected_rows.h"

namespace cleave::kernels {
namespace {

struct S8Lanes {
  using Weight = std::int8_t;
  using Vector = __m256;
  static constexpr std::size_t kLanes = 8;
  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  static Vector load_weights(const Weight* from) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static void store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
  static float widen(Weight weight) { return static_cast<float>(weight); }
};

}  // namespace

void s8_fully_connected_4x4_avx2(const FullyConnectedRows& layer, std::size_t first,
                                 std::size_t last) {
  fully_connected_rows<S8Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
