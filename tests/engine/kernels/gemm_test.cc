// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

using kernels::KernelTable;
using kernels::kGemmDepthBlock;

// a as the kernel wants it, from rows x depth.
std::vector<float> interleave(const std::vector<float>& a, std::size_t rows, std::size_t depth) {
  std::vector<float> blocks(rows * depth);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t d = 0; d < depth; ++d) {
      const std::size_t block = d / kGemmDepthBlock;
      blocks[(block * rows + r) * kGemmDepthBlock + d % kGemmDepthBlock] = a[r * depth + d];
    }
  }
  return blocks;
}

void check_product(const KernelTable& table, std::size_t rows, std::size_t depth_blocks) {
  const std::size_t depth = depth_blocks * kGemmDepthBlock;
  const std::size_t columns = table.gemm_columns;
  const std::size_t stride = columns + 16;
  constexpr float kUntouched = -77.0F;
  const std::vector<float> a = random_values(rows * depth, 1);
  const std::vector<float> blocks = interleave(a, rows, depth);
  AlignedBuffer b_buffer = aligned_copy(random_values(depth * columns, 2));
  AlignedBuffer c_buffer = aligned_copy(std::vector<float>(rows * stride, kUntouched));
  const float* b = b_buffer.f32();
  float* c = c_buffer.f32();
  table.gemm(rows, depth_blocks, blocks.data(), b, b, c, stride);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t n = 0; n < stride; ++n) {
      if (n >= columns) {
        CHECK(c[r * stride + n] == kUntouched);
        continue;
      }
      double sum = 0;
      double magnitude = 0;
      for (std::size_t d = 0; d < depth; ++d) {
        const double term = double{a[r * depth + d]} * double{b[d * columns + n]};
        sum += term;
        magnitude += std::abs(term);
      }
      CHECK(std::abs(c[r * stride + n] - sum) <= rounding_bound(depth) * magnitude);
    }
  }
}

TEST_CASE("a panel of every height and depth is the product") {
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    for (std::size_t rows = 1; rows <= table.gemm_rows; ++rows) {
      for (const std::size_t depth_blocks : {1, 2, 5}) check_product(table, rows, depth_blocks);
    }
  }
}

TEST_CASE("a row's product does not depend on the rows beside it") {
  constexpr std::size_t kDepth = 48;
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    const std::size_t rows = table.gemm_rows;
    const std::size_t columns = table.gemm_columns;
    const std::vector<float> a = random_values(rows * kDepth, 3);
    AlignedBuffer b = aligned_copy(random_values(kDepth * columns, 4));
    const auto multiply = [&](const std::vector<float>& part, std::size_t count) {
      AlignedBuffer c = aligned_copy(std::vector<float>(count * columns));
      table.gemm(count, kDepth / kGemmDepthBlock, interleave(part, count, kDepth).data(), b.f32(),
                 b.f32(), c.f32(), columns);
      return std::vector<float>(c.f32(), c.f32() + count * columns);
    };
    const std::vector<float> together = multiply(a, rows);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto row = a.begin() + static_cast<std::ptrdiff_t>(r * kDepth);
      const std::vector<float> alone = multiply({row, row + kDepth}, 1);
      const auto expected = together.begin() + static_cast<std::ptrdiff_t>(r * columns);
      CHECK(std::equal(alone.begin(), alone.end(), expected));
    }
  }
}

}  // namespace
}  // namespace cleave::test
