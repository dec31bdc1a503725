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

double direct(const std::vector<float>& patch, const std::vector<float>& kernel,
              const std::vector<float>& bias, std::size_t y, std::size_t x, std::size_t c) {
  double sum = double{bias[c]};
  for (std::size_t dy = 0; dy < 3; ++dy) {
    for (std::size_t dx = 0; dx < 3; ++dx) {
      sum += double{patch[((y + dy) * 6 + x + dx) * kWinogradChannels + c]} *
             double{kernel[(dy * 3 + dx) * kWinogradChannels + c]};
    }
  }
  return sum;
}

TEST_CASE("F(4x4, 3x3) is the direct convolution") {
  const std::vector<float> bias = random_values(kWinogradChannels, 3);
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    double worst = 0;
    for (unsigned seed = 0; seed < 50; ++seed) {
      const std::vector<float> patch = random_values(36 * kWinogradChannels, 100 + seed);
      const std::vector<float> kernel = random_values(9 * kWinogradChannels, 200 + seed);
      const std::vector<float> pixels =
          convolve_tile(table, patch, kernel, bias, -kInfinity, kInfinity);
      for (std::size_t i = 0; i < pixels.size(); ++i) {
        const std::size_t pixel = i / kWinogradChannels;
        const double expected =
            direct(patch, kernel, bias, pixel / 4, pixel % 4, i % kWinogradChannels);
        worst = std::max(worst, std::abs(pixels[i] - expected));
      }
    }
    std::printf("winograd 4x3 %s: largest error %.2g, inputs and kernel in [-1, 1)\n", table.name,
                worst);
    // The direct form errs by 4e-7 here. The transforms add and subtract values up to 48 times the
    // result along each axis (|A^T| (|G g| * |B^T d|), row of eights) before they cancel; over
    // random values the error grows by about 25.
    CHECK(worst < 2e-5);
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
