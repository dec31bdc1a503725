// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr int kInputTransform[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};

}  // namespace

void s8_winograd_input_4_scalar(const WinogradPatch& patch, const std::int8_t* pixels,
                                std::int16_t* values, std::size_t position_stride) {
  for (std::size_t channel = 0; channel < kWinogradChannels; ++channel) {
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t j = 0; j < 4; ++j) {
        int sum = 0;
        for (std::size_t y = 0; y < 4; ++y) {
          for (std::size_t x = 0; x < 4; ++x) {
            sum += kInputTransform[i][y] * kInputTransform[j][x] *
                   pixels[y * patch.row_stride + x * patch.pixel_stride + channel];
          }
        }
        values[(i * 4 + j) * position_stride + channel] = static_cast<std::int16_t>(sum);
      }
    }
  }
}

}  // namespace cleave::kernels
