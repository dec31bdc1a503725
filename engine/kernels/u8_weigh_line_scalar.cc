// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/resize.h"

namespace cleave::kernels {

// On ARM the compiler makes NEON of it; the baseline of x86 has no such product.
void u8_weigh_line_scalar(std::uint32_t weight, const std::uint8_t* line, std::size_t count,
                          std::uint32_t* sums) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += weight * line[i];
}

}  // namespace cleave::kernels
