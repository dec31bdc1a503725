// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "engine/kernels/s16_gemm_14x32_avx512.h"

namespace cleave::kernels {
namespace {

struct PairsInOneStep {
  static __m512i add(__m512i sum, __m512i a, __m512i b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

}  // namespace

void s16_gemm_14x32_avx512vnni(std::size_t rows, std::size_t depth_blocks, const std::int16_t* a,
                               const std::int16_t* b, const std::int16_t* next_b,
                               const float* scales, float* c, std::size_t c_stride) {
  s16_gemm_14x32<PairsInOneStep>(rows, depth_blocks, a, b, next_b, scales, c, c_stride);
}

}  // namespace cleave::kernels
