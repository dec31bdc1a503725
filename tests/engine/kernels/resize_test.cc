// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "engine/image/triangle_filter.h"
#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

std::vector<std::uint8_t> random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 24);
  return bytes;
}

TEST_CASE("rows are resized to the same bytes by every table") {
  const kernels::KernelTable& scalar = kernels::available_kernels().front();
  for (const std::uint32_t input : {1, 2, 3, 7, 63, 224, 299, 1000}) {
    for (const std::uint32_t output : {1, 3, 32, 224}) {
      const TriangleFilter filter(input, output);
      // Exactly as long as the row, so that a sanitizer sees what is read beyond it.
      const std::vector<std::uint8_t> row = random_bytes(std::size_t{input} * 3, input);
      std::vector<std::uint8_t> expected(std::size_t{output} * 3);
      scalar.resize_line(filter.axis(), row.data(), expected.data());
      for (const kernels::KernelTable& table : kernels::available_kernels()) {
        CAPTURE(table.name);
        std::vector<std::uint8_t> line(expected.size());
        table.resize_line(filter.axis(), row.data(), line.data());
        CHECK(line == expected);
      }
    }
  }
}

TEST_CASE("white stays white, whatever the rounding of weights") {
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    const TriangleFilter filter(4000, 227);
    const std::vector<std::uint8_t> row(4000 * 3, 255);
    std::vector<std::uint8_t> line(227 * 3);
    table.resize_line(filter.axis(), row.data(), line.data());
    CHECK(line == std::vector<std::uint8_t>(line.size(), 255));
  }
}

TEST_CASE("weighted rows are added in all lengths") {
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    for (const std::size_t count : {1, 7, 8, 9, 31, 672}) {
      const std::vector<std::uint8_t> line = random_bytes(count, 4);
      std::vector<std::uint32_t> sums(count, 17);
      table.weigh_line(4'000'000, line.data(), count, sums.data());
      for (std::size_t i = 0; i < count; ++i) CHECK(sums[i] == 17 + 4'000'000U * line[i]);
    }
  }
}

}  // namespace
}  // namespace cleave::test
