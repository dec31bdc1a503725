// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/gemm.h"

namespace cleave::kernels {

void f32_gemm_4x16_scalar(std::size_t rows, std::size_t depth_blocks, const float* a,
                          const float* b, const float* /*next_b*/, float* c, std::size_t c_stride) {
  constexpr std::size_t kColumns = 16;
  for (std::size_t row = 0; row < rows; ++row) {
    float sums[kColumns] = {};
    const float* column = b;
    for (std::size_t block = 0; block < depth_blocks; ++block) {
      const float* values = a + (block * rows + row) * kGemmDepthBlock;
      for (std::size_t d = 0; d < kGemmDepthBlock; ++d, column += kColumns) {
        for (std::size_t n = 0; n < kColumns; ++n) sums[n] += values[d] * column[n];
      }
    }
    for (std::size_t n = 0; n < kColumns; ++n) c[row * c_stride + n] = sums[n];
  }
}

}  // namespace cleave::kernels
