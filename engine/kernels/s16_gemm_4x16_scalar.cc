// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {

void s16_gemm_4x16_scalar(std::size_t rows, std::size_t depth_blocks, const std::int16_t* a,
                          const std::int16_t* b, const std::int16_t*, const float* scales, float* c,
                          std::size_t c_stride) {
  constexpr std::size_t kColumns = 16;
  for (std::size_t row = 0; row < rows; ++row) std::fill_n(c + row * c_stride, kColumns, 0.0F);
  for (std::size_t first = 0; first < depth_blocks; first += kS16GemmSumBlocks) {
    const std::size_t last = std::min(first + kS16GemmSumBlocks, depth_blocks);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < kColumns; ++column) {
        std::int32_t sum = 0;
        for (std::size_t d = first * kGemmDepthBlock; d < last * kGemmDepthBlock; ++d) {
          const std::size_t block = d / kGemmDepthBlock;
          sum += a[(block * rows + row) * kGemmDepthBlock + d % kGemmDepthBlock] *
                 b[(d / 2 * kColumns + column) * 2 + d % 2];
        }
        c[row * c_stride + column] += static_cast<float>(sum) * scales[column];
      }
    }
  }
}

}  // namespace cleave::kernels
