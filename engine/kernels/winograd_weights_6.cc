// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "engine/kernels/winograd.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostSide = 5;

// Row i of G: the powers of the interpolation point, times what B^T leaves out.
constexpr double kPoints[] = {0, 1, -1, 2, -2};
constexpr double kFactors[] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};

// G of one line of the kernel, whose elements are `stride` doubles apart.
void transform_line(const double* line, std::size_t side, std::size_t stride,
                    double (&values)[kWinogradPatchSide]) {
  for (std::size_t i = 0; i + 1 < kWinogradPatchSide; ++i) {
    double sum = 0;
    for (std::size_t tap = side; tap-- > 0;) sum = sum * kPoints[i] + line[tap * stride];
    values[i] = sum * kFactors[i];
  }
  values[kWinogradPatchSide - 1] = line[(side - 1) * stride];  // the point at infinity
}

}  // namespace

void winograd_weights_6(std::span<const double> kernel, std::size_t side,
                        double (&values)[kWinogradPositions]) {
  double columns[kWinogradPatchSide * kMostSide];  // [row after the transform][column]
  for (std::size_t x = 0; x < side; ++x) {
    double column[kWinogradPatchSide];
    transform_line(kernel.data() + x, side, side, column);
    for (std::size_t y = 0; y < kWinogradPatchSide; ++y) columns[y * side + x] = column[y];
  }
  for (std::size_t y = 0; y < kWinogradPatchSide; ++y) {
    double row[kWinogradPatchSide];
    transform_line(columns + y * side, side, 1, row);
    for (std::size_t x = 0; x < kWinogradPatchSide; ++x)
      values[y * kWinogradPatchSide + x] = row[x];
  }
}

}  // namespace cleave::kernels
