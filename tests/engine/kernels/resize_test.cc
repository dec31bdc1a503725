// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
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

// Bytes before a page that nobody may read.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::span<const std::uint8_t> bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t readable = (bytes.size() + page - 1) / page * page;
    mapped_ = readable + page;
    pages_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(pages_ != MAP_FAILED);
    auto* const end = static_cast<std::uint8_t*>(pages_) + readable;
    REQUIRE(::mprotect(end, page, PROT_NONE) == 0);
    begin_ = std::ranges::copy_backward(bytes, end).out;
  }
  ~GuardedBytes() { ::munmap(pages_, mapped_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  [[nodiscard]] const std::uint8_t* data() const { return begin_; }

 private:
  void* pages_ = nullptr;
  std::size_t mapped_ = 0;
  std::uint8_t* begin_ = nullptr;
};

TEST_CASE("rows are resized to the same bytes by every table") {
  const kernels::KernelTable& scalar = kernels::available_kernels().front();
  for (const std::uint32_t input : {1, 2, 3, 7, 63, 224, 299, 1000}) {
    for (const std::uint32_t output : {1, 3, 32, 224}) {
      const TriangleFilter filter(input, output);
      const GuardedBytes row(random_bytes(std::size_t{input} * 3, input));
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

// The filter's weights hardly add up to more than one; those that a caller may give, to four.
TEST_CASE("what is more than white is white, up to the largest sum of weights") {
  constexpr std::uint32_t kOne = 1U << kernels::kResizeFractionBits;
  const std::vector<std::uint32_t> firsts{0, 0, 1}, offsets{0, 3, 5, 6};
  const std::vector<std::uint32_t> weights{2 * kOne, kOne, kOne, kOne, kOne, kOne};
  const std::vector<std::uint8_t> row{255, 100, 0, 255, 100, 127, 255, 100, 2};
  for (const kernels::KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    std::vector<std::uint8_t> line(9);
    table.resize_line({3, 3, firsts.data(), offsets.data(), weights.data()}, row.data(),
                      line.data());
    CHECK(line == std::vector<std::uint8_t>{255, 255, 129, 255, 200, 127, 255, 100, 127});
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
