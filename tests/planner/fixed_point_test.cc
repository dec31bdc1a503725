// SPDX-License-Identifier: Apache-2.0
#include "planner/fixed_point.h"

#include <doctest/doctest.h>

#include <cstdint>

namespace cleave::planner {
namespace {

constexpr std::uint64_t kMax = UINT64_MAX;

TEST_CASE("addition saturates instead of wrapping") {
  CHECK(saturating_add(0, 0) == 0);
  CHECK(saturating_add(2, 3) == 5);
  CHECK(saturating_add(kMax - 1, 1) == kMax);
  CHECK(saturating_add(kMax, 1) == kMax);
  CHECK(saturating_add(1, kMax) == kMax);
  CHECK(saturating_add(kMax, kMax) == kMax);
  CHECK(saturating_add(1ull << 63, 1ull << 63) == kMax);
}

TEST_CASE("subtraction stops at zero") {
  CHECK(saturating_sub(5, 3) == 2);
  CHECK(saturating_sub(3, 3) == 0);
  CHECK(saturating_sub(3, 5) == 0);
  CHECK(saturating_sub(0, kMax) == 0);
  CHECK(saturating_sub(kMax, 1) == kMax - 1);
}

TEST_CASE("multiplication is exact below 2^64 and saturates from there") {
  CHECK(saturating_mul(0, kMax) == 0);
  CHECK(saturating_mul(kMax, 1) == kMax);
  CHECK(saturating_mul(1ull << 32, (1ull << 32) - 1) == kMax - 0xffff'ffff);
  CHECK(saturating_mul(1ull << 32, 1ull << 32) == kMax);
  CHECK(saturating_mul(kMax, kMax) == kMax);
  CHECK(saturating_mul(kMax / 3, 3) == kMax);
  CHECK(saturating_mul(kMax / 3, 4) == kMax);
}

TEST_CASE("the full product carries between its halves") {
  // (2^64 - 1)^2 = 2^128 - 2^65 + 1
  const Product square = full_product(kMax, kMax);
  CHECK(square.high == kMax - 1);
  CHECK(square.low == 1);
  // 0x1'0000'0001^2 = 2^64 + 2^33 + 1
  const Product cross = full_product(0x1'0000'0001, 0x1'0000'0001);
  CHECK(cross.high == 1);
  CHECK(cross.low == 0x2'0000'0001);
  // The sum of the middle halves overflows 32 bits: (2^64 - 1)(2^32 - 1) = 2^96 - 2^64 - 2^32 + 1.
  const Product carry = full_product(0xffff'ffff'ffff'ffff, 0xffff'ffff);
  CHECK(carry.high == 0xffff'fffe);
  CHECK(carry.low == 0xffff'ffff'0000'0001);
}

TEST_CASE("a product is divided in full width") {
  // 10 Mbit/s: one byte takes 800 ns, and 12 GB (product above 2^64) take 9600 s.
  CHECK(saturating_muldiv_up(1, 8'000'000'000, 10'000'000) == 800);
  CHECK(saturating_muldiv_up(12'000'000'000, 8'000'000'000, 10'000'000) == 9'600'000'000'000);
  CHECK(saturating_muldiv_up(kMax, kMax, kMax) == kMax);
  CHECK(saturating_muldiv_up(kMax - 1, kMax, kMax) == kMax - 1);
  CHECK(saturating_muldiv_up(kMax, 2, 4) == kMax / 2 + 1);
  CHECK(saturating_muldiv_down(kMax, 2, 4) == kMax / 2);
  // A remainder above 2^63 in the long division: the bit that is shifted out must count.
  CHECK(saturating_muldiv_down(kMax, kMax - 2, kMax - 1) == kMax - 2);
  CHECK(saturating_muldiv_up(kMax, kMax - 2, kMax - 1) == kMax - 1);
}

TEST_CASE("times round up and budgets round down") {
  CHECK(saturating_muldiv_up(10, 1, 3) == 4);
  CHECK(saturating_muldiv_down(10, 1, 3) == 3);
  CHECK(saturating_muldiv_up(9, 1, 3) == 3);
  CHECK(saturating_muldiv_down(9, 1, 3) == 3);
  CHECK(saturating_muldiv_up(0, 7, 3) == 0);
}

TEST_CASE("quotients that do not fit, and division by zero, saturate") {
  CHECK(saturating_muldiv_up(kMax, 2, 1) == kMax);
  CHECK(saturating_muldiv_down(kMax, kMax, 2) == kMax);
  CHECK(saturating_muldiv_up(1, 1, 0) == kMax);
  CHECK(saturating_muldiv_up(0, 0, 0) == kMax);
  // Rounding up the largest quotient: (2^64 - 1) + 1/2 has nowhere to go.
  CHECK(saturating_muldiv_up(kMax, 3, 3) == kMax);
  // 253921 * 145295143558111 = 2^65 - 1.
  CHECK(saturating_muldiv_down(253'921, 145'295'143'558'111, 2) == kMax);
  CHECK(saturating_muldiv_up(253'921, 145'295'143'558'111, 2) == kMax);
}

TEST_CASE("converting rounds up, keeps saturation, and is nothing at no price") {
  CHECK(convert_up<1000>(0, 7) == 0);
  CHECK(convert_up<1000>(1000, 7) == 7);
  CHECK(convert_up<1000>(1001, 7) == 8);
  CHECK(convert_up<1000>(kMax, 0) == 0);
  CHECK(convert_up<1000>(kMax, 1) == kMax);
  CHECK(convert_up<1000>(kMax - 1, 1) == 18'446'744'073'709'552);
  CHECK(convert_up<1000>(kMax - 1, 1000) == kMax - 1);
  CHECK(convert_up<1000>(kMax - 1, 1001) == kMax);
  CHECK(convert_up<1000>(1ull << 32, 1ull << 32) == 18'446'744'073'709'552);  // 2^64, just too long
}

#ifdef __SIZEOF_INT128__
TEST_CASE("random products and quotients equal the compiler's 128-bit arithmetic") {
  __extension__ using Wide = unsigned __int128;
  std::uint64_t state = 0x1234'5678'9abc'def1;
  const auto draw = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> (state % 61);  // every magnitude
  };
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t a = draw();
    const std::uint64_t b = draw();
    const std::uint64_t c = draw() | 1;
    const Wide product = static_cast<Wide>(a) * b;
    REQUIRE(full_product(a, b).high == static_cast<std::uint64_t>(product >> 64));
    REQUIRE(full_product(a, b).low == static_cast<std::uint64_t>(product));
    const Wide down = product / c;
    const Wide up = (product + (c - 1)) / c;
    REQUIRE(saturating_muldiv_down(a, b, c) ==
            (down > kMax ? kMax : static_cast<std::uint64_t>(down)));
    const Wide unit = (product + 999'999'999) / 1'000'000'000;
    REQUIRE(convert_up<1'000'000'000>(a, b) ==
            (unit > kMax ? kMax : static_cast<std::uint64_t>(unit)));
    REQUIRE(saturating_muldiv_up(a, b, c) == (up > kMax ? kMax : static_cast<std::uint64_t>(up)));
  }
}
#endif

}  // namespace
}  // namespace cleave::planner
