// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

constexpr std::int8_t kUntouched = 99;

// `rows` rows of `channels` sums, stored with a gap between rows.
std::vector<std::int8_t> store(kernels::S8StoreRows* kernel, std::size_t rows, std::size_t channels,
                               const std::vector<float>& products,
                               const kernels::Epilogue& epilogue) {
  std::vector<std::int8_t> pixels(rows * (channels + 3), kUntouched);
  kernel(rows, channels, products.data(), products.size() / rows, epilogue, pixels.data(),
         channels + 3);
  return pixels;
}

TEST_CASE("rows are stored with bias, clamped and rounded, and nothing beside them") {
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    if (table.s8_store_rows == nullptr) continue;
    CAPTURE(table.name);
    for (const std::size_t channels : {1, 7, 8, 15, 16, 17, 31, 32}) {
      for (const std::size_t rows : {1, 3}) {
        std::vector<float> products = random_values(rows * 48, 5);
        for (float& product : products) product *= 90;
        const std::vector<float> bias = random_values(48, 6);
        const auto pixels =
            store(table.s8_store_rows, rows, channels, products, {bias.data(), -50, 70});
        for (std::size_t i = 0; i < pixels.size(); ++i) {
          const std::size_t row = i / (channels + 3);
          const std::size_t channel = i % (channels + 3);
          const float sum = channel < channels ? products[row * 48 + channel] + bias[channel] : 99;
          const float expected =
              channel < channels ? std::nearbyint(std::clamp(sum, -50.0F, 70.0F)) : sum;
          CHECK(static_cast<float>(pixels[i]) == expected);
        }
      }
    }
  }
}

TEST_CASE("ties go to even") {
  const std::vector<float> products{0.5F, 1.5F, -0.5F, -1.5F, 126.5F, 127.5F, -128.5F, 2.5F,
                                    0,    0,    0,     0,     0,      0,      0,       0};
  const std::vector<float> bias(16, 0.0F);
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    if (table.s8_store_rows == nullptr) continue;
    CAPTURE(table.name);
    const auto pixels = store(table.s8_store_rows, 1, 8, products, {bias.data(), -128, 127});
    const std::vector<std::int8_t> expected{0, 2, 0, -2, 126, 127, -128, 2};
    CHECK(std::equal(expected.begin(), expected.end(), pixels.begin()));
  }
}

}  // namespace
}  // namespace cleave::test
