// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostSide = 5;

// Row i of G: the powers of the interpolation point, times what B^T leaves out. The point at
// infinity comes after them.
constexpr double kPoints[] = {0, 1, -1, 2, -2};
constexpr double kFactorsOf6[] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};
constexpr double kFactorsOf4[] = {1, 1.0 / 2, 1.0 / 2};

// G of one line of the kernel, whose elements are `stride` doubles apart.
void transform_line(const double* line, std::size_t side, std::size_t stride,
                    std::size_t patch_side, double* values) {
  const double* factors = patch_side == 4 ? kFactorsOf4 : kFactorsOf6;
  for (std::size_t i = 0; i + 1 < patch_side; ++i) {
    double sum = 0;
    for (std::size_t tap = side; tap-- > 0;) sum = sum * kPoints[i] + line[tap * stride];
    values[i] = sum * factors[i];
  }
  values[patch_side - 1] = line[(side - 1) * stride];
}

}  // namespace

void winograd_weights(std::span<const double> kernel, std::size_t side, std::size_t patch_side,
                      std::span<double> values) {
  double columns[kMostWinogradPatchSide * kMostSide] = {};  // [row after the transform][column]
  for (std::size_t x = 0; x < side; ++x) {
    double column[kMostWinogradPatchSide];
    transform_line(kernel.data() + x, side, side, patch_side, column);
    for (std::size_t y = 0; y < patch_side; ++y) columns[y * side + x] = column[y];
  }
  for (std::size_t y = 0; y < patch_side; ++y) {
    transform_line(columns + y * side, side, 1, patch_side, values.data() + y * patch_side);
  }
}

}  // namespace cleave::kernels
