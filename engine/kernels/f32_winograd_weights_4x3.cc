// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr double kG[6][3] = {{1.0 / 4, 0, 0},
                             {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                             {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                             {1.0 / 24, 1.0 / 12, 1.0 / 6},
                             {1.0 / 24, -1.0 / 12, 1.0 / 6},
                             {0, 0, 1}};

}  // namespace

void f32_winograd_weights_4x3(const float* kernel, std::size_t stride,
                              float (&values)[kWinogradPositions]) {
  double rows[6][3];
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t x = 0; x < 3; ++x) {
      rows[i][x] = kG[i][0] * double{kernel[x * stride]} +
                   kG[i][1] * double{kernel[(3 + x) * stride]} +
                   kG[i][2] * double{kernel[(6 + x) * stride]};
    }
  }
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      values[i * 6 + j] =
          static_cast<float>(rows[i][0] * kG[j][0] + rows[i][1] * kG[j][1] + rows[i][2] * kG[j][2]);
    }
  }
}

}  // namespace cleave::kernels
