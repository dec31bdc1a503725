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

constexpr float kInf = std::numeric_limits<float>::infinity();

// F(output x output, window x window).
struct Tile {
  const char* name;
  std::size_t window;
  std::size_t output;
  kernels::F32WinogradInput* KernelTable::*f32_input;
  kernels::S8WinogradInput* KernelTable::*s8_input;
  kernels::F32WinogradOutput* KernelTable::*f32_output;
  kernels::S8WinogradOutput* KernelTable::*s8_output;

  [[nodiscard]] std::size_t patch() const { return window + output - 1; }
  [[nodiscard]] std::size_t positions() const { return patch() * patch(); }
  [[nodiscard]] kernels::WinogradPatch layout() const {
    return {patch() * kWinogradChannels, kWinogradChannels};
  }
};
constexpr Tile kTiles[] = {
    {"4x3", 3, 4, &KernelTable::winograd_input_6, &KernelTable::s8_winograd_input_6,
     &KernelTable::winograd_output_4x3, &KernelTable::s8_winograd_output_4x3},
    {"2x3", 3, 2, &KernelTable::winograd_input_4, &KernelTable::s8_winograd_input_4,
     &KernelTable::winograd_output_2x3, &KernelTable::s8_winograd_output_2x3},
    {"2x5", 5, 2, &KernelTable::winograd_input_6, &KernelTable::s8_winograd_input_6,
     &KernelTable::winograd_output_2x5, &KernelTable::s8_winograd_output_2x5}};

// The values of each channel's own kernel: [position][channel].
std::vector<double> transform_weights(const Tile& tile, const std::vector<float>& kernel) {
  std::vector<double> weights(tile.positions() * kWinogradChannels);
  for (std::size_t c = 0; c < kWinogradChannels; ++c) {
    std::vector<double> plane;
    for (std::size_t tap = 0; tap < tile.window * tile.window; ++tap) {
      plane.push_back(double{kernel[tap * kWinogradChannels + c]});
    }
    std::vector<double> values(tile.positions());
    kernels::winograd_weights(plane, tile.window, tile.patch(), values);
    for (std::size_t p = 0; p < tile.positions(); ++p) {
      weights[p * kWinogradChannels + c] = values[p];
    }
  }
  return weights;
}

// One tile by the three parts: output pixels of 16 channels that are convolved each with its own
// kernel, so that no product over channels is in the way.
std::vector<float> convolve_tile(const KernelTable& table, const Tile& tile,
                                 const std::vector<float>& patch, const std::vector<float>& kernel,
                                 const std::vector<float>& bias, float minimum, float maximum) {
  constexpr std::size_t kStride = kWinogradChannels + 16;
  std::vector<float> values(tile.positions() * kStride);
  (table.*tile.f32_input)(tile.layout(), patch.data(), values.data(), kStride);
  const std::vector<double> weights = transform_weights(tile, kernel);
  for (std::size_t p = 0; p < tile.positions(); ++p) {
    for (std::size_t c = 0; c < kWinogradChannels; ++c) {
      values[p * kStride + c] *= static_cast<float>(weights[p * kWinogradChannels + c]);
    }
  }
  std::vector<float> pixels(tile.output * tile.output * kWinogradChannels);
  (table.*tile.f32_output)(values.data(), kStride,
                           {tile.output * kWinogradChannels, kWinogradChannels},
                           {bias.data(), minimum, maximum}, pixels.data());
  return pixels;
}

// Output element i of the same by the definition, summed in Number.
template <class Number>
Number direct(const Tile& tile, const std::vector<float>& patch, const std::vector<float>& kernel,
              const std::vector<float>& bias, std::size_t i) {
  const std::size_t c = i % kWinogradChannels;
  const std::size_t x = i / kWinogradChannels % tile.output;
  const std::size_t y = i / kWinogradChannels / tile.output;
  Number sum = bias[c];
  for (std::size_t dy = 0; dy < tile.window; ++dy) {
    for (std::size_t dx = 0; dx < tile.window; ++dx) {
      sum += Number{patch[((y + dy) * tile.patch() + x + dx) * kWinogradChannels + c]} *
             Number{kernel[(dy * tile.window + dx) * kWinogradChannels + c]};
    }
  }
  return sum;
}

struct Errors {
  double winograd = 0;
  double direct = 0;
};

Errors worst_errors(const KernelTable& table, const Tile& tile) {
  const std::vector<float> bias = random_values(kWinogradChannels, 3);
  Errors worst;
  for (unsigned seed = 0; seed < 50; ++seed) {
    const std::vector<float> patch =
        random_values(tile.positions() * kWinogradChannels, 100 + seed);
    const std::vector<float> kernel =
        random_values(tile.window * tile.window * kWinogradChannels, 200 + seed);
    const std::vector<float> pixels = convolve_tile(table, tile, patch, kernel, bias, -kInf, kInf);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const double expected = direct<double>(tile, patch, kernel, bias, i);
      const double in_f32 = direct<float>(tile, patch, kernel, bias, i);
      worst.winograd = std::max(worst.winograd, std::abs(pixels[i] - expected));
      worst.direct = std::max(worst.direct, std::abs(in_f32 - expected));
    }
  }
  return worst;
}

TEST_CASE("F(4x4, 3x3), F(2x2, 3x3) and F(2x2, 5x5) are the direct convolution") {
  for (const KernelTable& table : kernels::available_kernels()) {
    for (const Tile& tile : kTiles) {
      CAPTURE(table.name);
      CAPTURE(tile.name);
      const Errors worst = worst_errors(table, tile);
      std::printf("winograd %s %s: largest error %.2g, direct form %.2g, values in [-1, 1)\n",
                  tile.name, table.name, worst.winograd, worst.direct);
      // Before they cancel, the terms of a result that is at most 3 along one axis reach 48 (|A^T|
      // times |G g| times |B^T d|, the row with the eights of 4x3): rounding is amplified.
      CHECK(worst.winograd < 40 * worst.direct);
      CHECK(worst.winograd > 0);
    }
  }
}

TEST_CASE("the clamp is applied after the bias") {
  const std::vector<float> patch(36 * kWinogradChannels, 1.0F);
  for (const KernelTable& table : kernels::available_kernels()) {
    for (const Tile& tile : kTiles) {
      CAPTURE(table.name);
      CAPTURE(tile.name);
      const std::size_t taps = tile.window * tile.window;
      const std::vector<float> kernel(taps * kWinogradChannels, 1.0F);
      const std::vector<float> bias(kWinogradChannels, 4.0F - static_cast<float>(taps));
      const auto all = [&](float minimum, float maximum) {
        return convolve_tile(table, tile, patch, kernel, bias, minimum, maximum);
      };
      for (const float value : all(-kInf, kInf)) CHECK(std::abs(value - 4.0F) < 1e-4F);
      for (const float value : all(0.0F, 3.0F)) CHECK(value == 3.0F);
      for (const float value : all(6.0F, 7.0F)) CHECK(value == 6.0F);
    }
  }
}

TEST_CASE("every table computes the transforms as the scalar one, within rounding") {
  const KernelTable& scalar = kernels::available_kernels().front();
  for (const Tile& tile : kTiles) {
    const std::vector<float> patch = random_values(tile.positions() * kWinogradChannels, 20);
    std::vector<float> expected(patch.size());
    (scalar.*tile.f32_input)(tile.layout(), patch.data(), expected.data(), kWinogradChannels);
    for (const KernelTable& table : kernels::available_kernels()) {
      CAPTURE(table.name);
      std::vector<float> values(expected.size());
      (table.*tile.f32_input)(tile.layout(), patch.data(), values.data(), kWinogradChannels);
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(std::abs(values[i] - expected[i]) <= 1e-5F);
      }
    }
  }
}

// All of the same sign as B^T in row `y` and column `x` of the transform: the largest value there.
std::vector<std::int8_t> extreme_patch(std::size_t side, std::size_t y, std::size_t x) {
  constexpr int kOf6[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                              {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  constexpr int kOf4[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
  const auto transform = [&](std::size_t row, std::size_t i) {
    return side == 4 ? kOf4[row][i] : kOf6[row][i];
  };
  std::vector<std::int8_t> patch(side * side * kWinogradChannels);
  for (std::size_t i = 0; i < patch.size(); ++i) {
    const std::size_t pixel = i / kWinogradChannels;
    const int sign = transform(y, pixel / side) * transform(x, pixel % side);
    patch[i] = sign < 0 ? std::int8_t{127} : std::int8_t{-128};
  }
  return patch;
}

TEST_CASE("int8 patches are transformed exactly, the largest ones too") {
  constexpr std::size_t kStride = kWinogradChannels + 16;
  const KernelTable& scalar = kernels::available_kernels().front();
  for (const KernelTable& table : kernels::available_kernels()) {
    for (const Tile& tile : kTiles) {
      if (table.*tile.s8_input == nullptr) continue;
      CAPTURE(table.name);
      CAPTURE(tile.name);
      for (std::size_t position = 0; position < tile.positions(); ++position) {
        const std::size_t y = position / tile.patch();
        const std::size_t x = position % tile.patch();
        const std::vector<std::int8_t> patch = extreme_patch(tile.patch(), y, x);
        const std::vector<float> real(patch.begin(), patch.end());
        std::vector<std::int16_t> values(tile.positions() * kStride);
        std::vector<float> expected(values.size());
        (table.*tile.s8_input)(tile.layout(), patch.data(), values.data(), kStride);
        (scalar.*tile.f32_input)(tile.layout(), real.data(), expected.data(), kStride);
        CHECK(std::equal(values.begin(), values.end(), expected.begin()));
        const int bound =
            128 * kernels::winograd_gain(tile.patch(), y) * kernels::winograd_gain(tile.patch(), x);
        CHECK(-values[position * kStride] <= bound);
        CHECK(-values[position * kStride] >= bound * 127 / 128);
      }
    }
  }
}

TEST_CASE("int8 outputs are the f32 ones, rounded to the nearest even step") {
  const std::vector<float> products = [] {
    std::vector<float> values = random_values(36 * kWinogradChannels, 30);
    for (float& value : values) value *= 32;  // every form clamps some
    return values;
  }();
  const std::vector<float> bias = random_values(kWinogradChannels, 31);
  for (const KernelTable& table : kernels::available_kernels()) {
    for (const Tile& tile : kTiles) {
      if (table.*tile.s8_output == nullptr) continue;
      CAPTURE(table.name);
      CAPTURE(tile.name);
      const kernels::WinogradPatch layout{tile.output * kWinogradChannels, kWinogradChannels};
      const kernels::Epilogue epilogue{bias.data(), -60, 50};
      std::vector<float> real(tile.output * tile.output * kWinogradChannels);
      std::vector<std::int8_t> steps(real.size());
      (table.*tile.f32_output)(products.data(), kWinogradChannels, layout, epilogue, real.data());
      (table.*tile.s8_output)(products.data(), kWinogradChannels, layout, epilogue, steps.data());
      for (std::size_t i = 0; i < steps.size(); ++i) {
        CHECK(static_cast<float>(steps[i]) == std::nearbyint(real[i]));
      }
      CHECK(*std::ranges::min_element(steps) == -60);
      CHECK(*std::ranges::max_element(steps) == 50);
      // Ties: of nothing but a bias.
      const std::vector<float> zeros(products.size(), 0.0F);
      const std::vector<float> halves(kWinogradChannels, 2.5F);
      (table.*tile.s8_output)(zeros.data(), kWinogradChannels, layout, {halves.data(), -128, 127},
                              steps.data());
      CHECK(std::ranges::count(steps, 2) == std::ssize(steps));
    }
  }
}

}  // namespace
}  // namespace cleave::test
