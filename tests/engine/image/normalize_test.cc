// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <limits>

#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

std::vector<float> normalized(const Pixels& pixels, const TestPreprocessing& preprocessing,
                              std::uint32_t channels) {
  std::vector<float> input(pixels.size(), std::numeric_limits<float>::quiet_NaN());
  normalize(pixels, preprocessing.get(), channels, input);
  return input;
}

// Hexadecimal literals, so that a last bit counts. (u - 127.5) / 127.5, the range -1..1.
TEST_CASE("minus one to one is exact") {
  const TestPreprocessing preprocessing(
      {.mean = {127.5f, 127.5f, 127.5f}, .deviation = {127.5f, 127.5f, 127.5f}});
  const auto values = normalized({0, 255, 128, 127, 51, 204}, preprocessing, 3);
  CHECK(values[0] == -1.0f);
  CHECK(values[1] == 1.0f);
  CHECK(values[2] == 0.5f / 127.5f);
  CHECK(values[3] == -0.5f / 127.5f);
  CHECK(values[4] == -76.5f / 127.5f);
  CHECK(values[5] == 76.5f / 127.5f);
}

TEST_CASE("each channel has its own mean and deviation") {
  const TestPreprocessing preprocessing({.mean = {10, 20, 30}, .deviation = {2, 4, 8}});
  CHECK(normalized({10, 20, 30, 12, 16, 38}, preprocessing, 3) ==
        std::vector<float>{0, 0, 0, 1, -1, 1});
}

TEST_CASE("every value is (u - mean) / deviation rounded once per step") {
  const float mean = 0.485f * 255.0f;
  const float deviation = 0.229f * 255.0f;
  const TestPreprocessing preprocessing(
      {.color_order = fbs::ColorOrder::Gray, .mean = {mean}, .deviation = {deviation}});
  Pixels pixels;
  for (int u = 0; u < 256; ++u) pixels.push_back(static_cast<std::uint8_t>(u));
  const auto values = normalized(pixels, preprocessing, 1);
  for (std::size_t u = 0; u < 256; ++u) {
    const float difference = static_cast<float>(u) - mean;
    CHECK(values[u] == difference / deviation);
  }
}

}  // namespace
}  // namespace cleave::test
