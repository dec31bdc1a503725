// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr int kInputTransform[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                       {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                       {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};

}  // namespace

void s8_winograd_input_6_scalar(const WinogradPatch& patch, const std::int8_t* pixels,
                                std::int16_t* values, std::size_t position_stride) {
  for (std::size_t channel = 0; channel < kWinogradChannels; ++channel) {
    int columns[6][6];  // [row after the transform][column]
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t x = 0; x < 6; ++x) {
        columns[i][x] = 0;
        for (std::size_t y = 0; y < 6; ++y) {
          columns[i][x] += kInputTransform[i][y] *
                           pixels[y * patch.row_stride + x * patch.pixel_stride + channel];
        }
      }
    }
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = 0; j < 6; ++j) {
        int sum = 0;
        for (std::size_t x = 0; x < 6; ++x) sum += kInputTransform[j][x] * columns[i][x];
        values[(i * 6 + j) * position_stride + channel] = static_cast<std::int16_t>(sum);
      }
    }
  }
}

}  // namespace cleave::kernels
