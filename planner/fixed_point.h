// SPDX-License-Identifier: Apache-2.0
//
// Unsigned 64-bit arithmetic that saturates at UINT64_MAX instead of wrapping. A saturated value
// reads as "longer or larger than anything": it compares last and stays saturated when added to.
//
// No 128-bit type is used: 32-bit targets have none, and on 64-bit ones its division is a libgcc
// call. Products are split into 32-bit halves, so that the result is the same everywhere.
#pragma once

#include <cstdint>
#include <limits>

namespace cleave::planner {

inline constexpr std::uint64_t kSaturated = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

// a + b, or kSaturated.
[[nodiscard]] constexpr std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? kSaturated : sum;
}

// a - b, or 0.
[[nodiscard]] constexpr std::uint64_t saturating_sub(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

// The full product of two 64-bit numbers.
struct Product {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

// a * b, exactly: by schoolbook multiplication of 32-bit halves where 64 bits do not hold it.
[[nodiscard]] constexpr Product full_product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (!__builtin_mul_overflow(a, b, &product)) return {.high = 0, .low = product};
  constexpr std::uint64_t kHalf = 0xffff'ffff;
  const std::uint64_t low_low = (a & kHalf) * (b & kHalf);
  const std::uint64_t low_high = (a & kHalf) * (b >> 32);
  const std::uint64_t high_low = (a >> 32) * (b & kHalf);
  const std::uint64_t high_high = (a >> 32) * (b >> 32);
  // Three summands below 2^32 each: cannot overflow.
  const std::uint64_t middle = (low_low >> 32) + (low_high & kHalf) + (high_low & kHalf);
  return {.high = high_high + (low_high >> 32) + (high_low >> 32) + (middle >> 32),
          .low = (middle << 32) | (low_low & kHalf)};
}

// a * b, or kSaturated.
[[nodiscard]] constexpr std::uint64_t saturating_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kSaturated : product;
}

// What a division leaves. `value` is kSaturated, with no remainder, when the quotient needs more
// than 64 bits or the divisor is 0.
struct Quotient {
  std::uint64_t value = 0;
  std::uint64_t remainder = 0;
};

[[nodiscard, gnu::noinline]] constexpr Quotient divide(Product product, std::uint64_t divisor) {
  if (product.high >= divisor) return {.value = kSaturated, .remainder = 0};
  if (product.high == 0) {
    return {.value = product.low / divisor, .remainder = product.low % divisor};
  }
  // Long division, a bit at a time; reached only by products of 2^64 and more.
  std::uint64_t remainder = product.high;
  std::uint64_t quotient = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const bool carry = (remainder >> 63) != 0;
    remainder = (remainder << 1) | ((product.low >> bit) & 1);
    quotient <<= 1;
    if (carry || remainder >= divisor) {
      remainder -= divisor;
      quotient |= 1;
    }
  }
  return {.value = quotient, .remainder = remainder};
}

// a * b / c with a product of full width, rounded up, or kSaturated when the result does not fit
// or c is 0. For predicted times: rounding up is never optimistic.
[[nodiscard, gnu::noinline]] constexpr std::uint64_t saturating_muldiv_up(std::uint64_t a,
                                                                          std::uint64_t b,
                                                                          std::uint64_t c) {
  const Quotient quotient = divide(full_product(a, b), c);
  return saturating_add(quotient.value, quotient.remainder != 0 ? 1 : 0);
}

// a * b / c as above, rounded down. For budgets and rates, which must not grow by rounding.
[[nodiscard, gnu::noinline]] constexpr std::uint64_t saturating_muldiv_down(std::uint64_t a,
                                                                            std::uint64_t b,
                                                                            std::uint64_t c) {
  return divide(full_product(a, b), c).value;
}

// An amount in another unit: amount * factor / divisor, rounded up. 0 when the factor is 0,
// whatever the amount; a saturated amount stays saturated, since it stands for anything larger.
template <std::uint64_t divisor>
[[nodiscard]] constexpr std::uint64_t convert_up(std::uint64_t amount, std::uint64_t factor) {
  if (factor == 0) return 0;
  if (amount == kSaturated) return kSaturated;
  std::uint64_t product = 0;
  // The common case divides by a constant, which is a multiplication on most machines.
  if (!__builtin_mul_overflow(amount, factor, &product)) {
    const std::uint64_t quotient = product / divisor;
    return quotient + (quotient * divisor != product ? 1 : 0);
  }
  return saturating_muldiv_up(amount, factor, divisor);
}

}  // namespace cleave::planner
