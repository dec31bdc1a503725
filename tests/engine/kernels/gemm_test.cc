// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/kernels/dispatch.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

using kernels::KernelTable;
using kernels::kGemmDepthBlock;

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

// Values that end where a page begins that must not be read.
class GuardedValues {
 public:
  explicit GuardedValues(const std::vector<float>& values) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t bytes = values.size() * sizeof(float);
    const std::size_t readable = (bytes + page - 1) / page * page;
    mapped_bytes_ = readable + page;
    mapped_ =
        ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped_ != MAP_FAILED);
    auto* guard = static_cast<std::byte*>(mapped_) + readable;
    REQUIRE(::mprotect(guard, page, PROT_NONE) == 0);
    values_ = reinterpret_cast<float*>(guard - bytes);
    std::memcpy(values_, values.data(), bytes);
  }
  ~GuardedValues() { ::munmap(mapped_, mapped_bytes_); }
  GuardedValues(const GuardedValues&) = delete;
  GuardedValues& operator=(const GuardedValues&) = delete;

  [[nodiscard]] const float* data() const { return values_; }

 private:
  void* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  float* values_ = nullptr;
};

TEST_CASE("nothing behind the last value of A and B is read") {
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    for (std::size_t rows = 1; rows <= table.gemm_rows; ++rows) {
      for (const std::size_t depth_blocks : {1, 2, 3}) {
        const std::size_t depth = depth_blocks * kGemmDepthBlock;
        const std::vector<float> a = random_values(rows * depth, 13);
        const std::vector<float> b = random_values(depth * table.gemm_columns, 14);
        const GuardedValues guarded_a(a);
        const GuardedValues guarded_b(b);
        AlignedBuffer near_b = aligned_copy(b);
        AlignedBuffer expected = aligned_copy(std::vector<float>(rows * table.gemm_columns));
        AlignedBuffer product = aligned_copy(std::vector<float>(rows * table.gemm_columns));
        table.gemm(rows, depth_blocks, a.data(), near_b.f32(), near_b.f32(), expected.f32(),
                   table.gemm_columns);
        table.gemm(rows, depth_blocks, guarded_a.data(), guarded_b.data(), guarded_b.data(),
                   product.f32(), table.gemm_columns);
        CHECK(std::equal(product.f32(), product.f32() + rows * table.gemm_columns, expected.f32()));
      }
    }
  }
}

TEST_CASE("every table with fused multiply-adds gives the same bits") {
  constexpr std::size_t kBlocks = 3;
  constexpr std::size_t kDepth = kBlocks * kGemmDepthBlock;
  const KernelTable& best = kernels::available_kernels().back();
  for (const KernelTable& table : kernels::available_kernels()) {
    if (&table == &kernels::available_kernels().front()) continue;  // scalar: two roundings
    CAPTURE(table.name);
    const std::size_t columns = std::min(table.gemm_columns, best.gemm_columns);
    for (std::size_t rows = 1; rows <= std::min(table.gemm_rows, best.gemm_rows); ++rows) {
      CAPTURE(rows);
      const std::vector<float> blocks = interleave(random_values(rows * kDepth, 11), rows, kDepth);
      const std::vector<float> shared = random_values(kDepth * columns, 12);
      const auto multiply = [&](const KernelTable& by) {
        std::vector<float> panel(kDepth * by.gemm_columns);
        for (std::size_t d = 0; d < kDepth; ++d) {
          std::copy_n(shared.data() + d * columns, columns, panel.data() + d * by.gemm_columns);
        }
        AlignedBuffer b = aligned_copy(panel);
        AlignedBuffer c = aligned_copy(std::vector<float>(rows * by.gemm_columns));
        by.gemm(rows, kBlocks, blocks.data(), b.f32(), b.f32(), c.f32(), by.gemm_columns);
        std::vector<float> product;
        for (std::size_t r = 0; r < rows; ++r) {
          const float* row = c.f32() + r * by.gemm_columns;
          product.insert(product.end(), row, row + columns);
        }
        return product;
      };
      CHECK(multiply(table) == multiply(best));
    }
  }
}

}  // namespace
}  // namespace cleave::test
