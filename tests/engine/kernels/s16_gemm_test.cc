// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

using kernels::KernelTable;
using kernels::kGemmDepthBlock;

std::vector<std::int16_t> random_integers(std::size_t count, unsigned seed, float largest) {
  std::vector<std::int16_t> integers;
  for (const float value : random_values(count, seed)) {
    integers.push_back(static_cast<std::int16_t>(value * largest));
  }
  return integers;
}

// b[d][n] as the kernel wants it: neighbours in depth side by side.
AlignedBuffer pair_up(const std::vector<std::int16_t>& b, std::size_t depth, std::size_t columns) {
  AlignedBuffer buffer(depth * columns * sizeof(std::int16_t));
  auto* pairs = reinterpret_cast<std::int16_t*>(buffer.data());
  for (std::size_t d = 0; d < depth; ++d) {
    for (std::size_t n = 0; n < columns; ++n) {
      pairs[(d / 2 * columns + n) * 2 + d % 2] = b[d * columns + n];
    }
  }
  return buffer;
}

// Sums over 128 values reach 2^31 * 0.9 with these.
constexpr float kLargestA = 12800;
constexpr float kLargestB = 1200;

void check_s16_product(const KernelTable& table, kernels::S16GemmPanel* gemm, std::size_t rows,
                       std::size_t depth_blocks) {
  const std::size_t depth = depth_blocks * kGemmDepthBlock;
  const std::size_t columns = table.gemm_columns;
  const std::size_t stride = columns + 16;
  constexpr float kUntouched = -77.0F;
  const std::vector<std::int16_t> a = random_integers(rows * depth, 1, kLargestA);
  const std::vector<std::int16_t> b = random_integers(depth * columns, 2, kLargestB);
  const std::vector<std::int16_t> blocks = interleave(a, rows, depth);
  const AlignedBuffer pairs = pair_up(b, depth, columns);
  const std::vector<float> scales = random_values(columns, 3);
  AlignedBuffer c = aligned_copy(std::vector<float>(rows * stride, kUntouched));
  const auto* panel = reinterpret_cast<const std::int16_t*>(pairs.data());
  gemm(rows, depth_blocks, blocks.data(), panel, panel, scales.data(), c.f32(), stride);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t n = 0; n < stride; ++n) {
      if (n >= columns) {
        CHECK(c.f32()[r * stride + n] == kUntouched);
        continue;
      }
      double sum = 0;
      double magnitude = 0;
      for (std::size_t d = 0; d < depth; ++d) {
        const double term = double{scales[n]} * a[r * depth + d] * b[d * columns + n];
        sum += term;
        magnitude += std::abs(term);
      }
      // A conversion, a product and a sum for each block of exact sums.
      const std::size_t roundings = 3 * (depth_blocks / kernels::kS16GemmSumBlocks + 1);
      CHECK(std::abs(c.f32()[r * stride + n] - sum) <= rounding_bound(roundings) * magnitude);
    }
  }
}

// The table's kernel, and the one that a CPU without VNNI would get.
std::vector<kernels::S16GemmPanel*> forms_of(const KernelTable& table) {
  if (table.s16_gemm == nullptr) return {};
  std::vector<kernels::S16GemmPanel*> forms{table.s16_gemm};
#if defined(__x86_64__)
  if (std::string_view(table.name) == "avx512") forms.push_back(kernels::s16_gemm_14x32_avx512);
#endif
  return forms;
}

TEST_CASE("products of 16-bit integers are exact but for the rounding of blocks") {
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    for (kernels::S16GemmPanel* gemm : forms_of(table)) {
      for (std::size_t rows = 1; rows <= table.gemm_rows; ++rows) {
        for (const std::size_t blocks : {1, 2, 8, 9, 21}) {
          check_s16_product(table, gemm, rows, blocks);
        }
      }
    }
  }
}

// The largest sums that the packed weights of a Winograd convolution allow, and as many of them in
// a row as would overflow if they were not taken to f32 in time.
TEST_CASE("the largest sums do not overflow, however deep the product") {
  constexpr std::size_t kSumDepth = kernels::kS16GemmSumBlocks * kGemmDepthBlock;
  static_assert(kSumDepth == 128);
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    const std::size_t columns = table.gemm_columns;
    for (kernels::S16GemmPanel* gemm : forms_of(table)) {
      for (const std::size_t depth : {kSumDepth, 2 * kSumDepth + kGemmDepthBlock}) {
        CAPTURE(depth);
        // 12800 * 1310 * 128 = 2146304000 < 2^31; this, and its multiples here, are f32 too.
        for (const int sign : {1, -1}) {
          const std::vector<std::int16_t> a(depth, 12800);
          const std::vector<std::int16_t> b(depth * columns,
                                            static_cast<std::int16_t>(sign * 1310));
          const AlignedBuffer pairs = pair_up(b, depth, columns);
          const auto* panel = reinterpret_cast<const std::int16_t*>(pairs.data());
          const std::vector<float> scales(columns, 1.0F);
          AlignedBuffer c = aligned_copy(std::vector<float>(columns));
          gemm(1, depth / kGemmDepthBlock, interleave(a, 1, depth).data(), panel, panel,
               scales.data(), c.f32(), columns);
          const double expected = sign * 12800.0 * 1310 * static_cast<double>(depth);
          for (std::size_t n = 0; n < columns; ++n) CHECK(double{c.f32()[n]} == expected);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cleave::test
