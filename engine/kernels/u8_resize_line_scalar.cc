// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/resize.h"

namespace cleave::kernels {

void u8_resize_line_scalar(const ResizeAxis& axis, const std::uint8_t* row, std::uint8_t* line) {
  constexpr std::size_t kChannels = 3;
  for (std::size_t j = 0; j < axis.outputs; ++j) {
    const std::uint8_t* pixel = row + std::size_t{axis.firsts[j]} * kChannels;
    std::uint32_t sum[kChannels] = {};
    for (std::uint32_t i = axis.offsets[j]; i < axis.offsets[j + 1]; ++i, pixel += kChannels) {
      for (std::size_t c = 0; c < kChannels; ++c) sum[c] += axis.weights[i] * pixel[c];
    }
    for (std::size_t c = 0; c < kChannels; ++c) *line++ = round_resized(sum[c]);
  }
}

}  // namespace cleave::kernels
