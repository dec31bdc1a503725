// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

using kernels::KernelTable;
using kernels::kWinogradChannels;
using kernels::kWinogradPositions;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One tile by the three parts: 4x4 output pixels of 16 channels that are convolved each with its
// own kernel, so that no product over channels is in the way.
std::vector<float> convolve_tile(const KernelTable& table, const std::vector<float>& patch,
                                 const std::vector<float>& kernel, const std::vector<float>& bias,
                                 float minimum, float maximum) {
  constexpr std::size_t kStride = kWinogradChannels + 16;
  std::vector<float> values(kWinogradPositions * kStride);
  table.winograd_input({6 * kWinogradChannels, kWinogradChannels}, patch.data(), values.data(),
                       kStride);
  for (std::size_t c = 0; c < kWinogradChannels; ++c) {
    float weights[kWinogradPositions];
    kernels::f32_winograd_weights_4x3(kernel.data() + c, kWinogradChannels, weights);
    for (std::size_t p = 0; p < kWinogradPositions; ++p) values[p * kStride + c] *= weights[p];
  }
  std::vector<float> pixels(16 * kWinogradChannels);
  table.winograd_output(values.data(), kStride, {4 * kWinogradChannels, kWinogradChannels},
                        bias.data(), minimum, maximum, pixels.data());
  return pixels;
}

// The same by the definition, summed in Number.
template <class Number>
Number direct(const std::vector<float>& patch, const std::vector<float>& kernel,
              const std::vector<float>& bias, std::size_t y, std::size_t x, std::size_t c) {
  Number sum = bias[c];
  for (std::size_t dy = 0; dy < 3; ++dy) {
    for (std::size_t dx = 0; dx < 3; ++dx) {
      sum += Number{patch[((y + dy) * 6 + x + dx) * kWinogradChannels + c]} *
             Number{kernel[(dy * 3 + dx) * kWinogradChannels + c]};
    }
  }
  return sum;
}

TEST_CASE("F(4x4, 3x3) is the direct convolution") {
  const std::vector<float> bias = random_values(kWinogradChannels, 3);
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    double worst = 0;
    double worst_direct = 0;
    for (unsigned seed = 0; seed < 50; ++seed) {
      const std::vector<float> patch = random_values(36 * kWinogradChannels, 100 + seed);
      const std::vector<float> kernel = random_values(9 * kWinogradChannels, 200 + seed);
      const std::vector<float> pixels =
          convolve_tile(table, patch, kernel, bias, -kInfinity, kInfinity);
      for (std::size_t i = 0; i < pixels.size(); ++i) {
        const std::size_t y = i / kWinogradChannels / 4;
        const std::size_t x = i / kWinogradChannels % 4;
        const std::size_t c = i % kWinogradChannels;
        const double expected = direct<double>(patch, kernel, bias, y, x, c);
        const double in_f32 = direct<float>(patch, kernel, bias, y, x, c);
        worst = std::max(worst, std::abs(pixels[i] - expected));
        worst_direct = std::max(worst_direct, std::abs(in_f32 - expected));
      }
    }
    std::printf("winograd 4x3 %s: largest error %.2g, direct form %.2g, values in [-1, 1)\n",
                table.name, worst, worst_direct);
    // Before they cancel, the terms of a result that is at most 3 along one axis reach 48 (|A^T|
    // times |G g| times |B^T d|, the row with the eights): rounding is amplified.
    CHECK(worst < 40 * worst_direct);
    CHECK(worst > 0);
  }
}

TEST_CASE("the clamp is applied after the bias") {
  const std::vector<float> patch(36 * kWinogradChannels, 1.0F);
  const std::vector<float> kernel(9 * kWinogradChannels, 1.0F);
  const std::vector<float> bias(kWinogradChannels, -5.0F);
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    const auto all = [&](float minimum, float maximum) {
      return convolve_tile(table, patch, kernel, bias, minimum, maximum);
    };
    for (const float value : all(-kInfinity, kInfinity)) CHECK(std::abs(value - 4.0F) < 1e-4F);
    for (const float value : all(0.0F, 3.0F)) CHECK(value == 3.0F);
    for (const float value : all(6.0F, 7.0F)) CHECK(value == 6.0F);
  }
}

TEST_CASE("every table computes the transforms as the scalar one, within rounding") {
  const KernelTable& scalar = kernels::available_kernels().front();
  const std::vector<float> patch = random_values(36 * kWinogradChannels, 20);
  std::vector<float> expected(kWinogradPositions * kWinogradChannels);
  scalar.winograd_input({6 * kWinogradChannels, kWinogradChannels}, patch.data(), expected.data(),
                        kWinogradChannels);
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    std::vector<float> values(expected.size());
    table.winograd_input({6 * kWinogradChannels, kWinogradChannels}, patch.data(), values.data(),
                         kWinogradChannels);
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(std::abs(values[i] - expected[i]) <= 1e-5F);
    }
  }
}

}  // namespace
}  // namespace cleave::test
