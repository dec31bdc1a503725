// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/half.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace cleave::test {
namespace {

using kernels::float_to_half;
using kernels::half_to_float;

// IEEE 754 binary16 as its definition says.
double value_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST_CASE("every half is its value, and comes back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if ((half & 0x7C00) != 0x7C00) {
      REQUIRE(double{value} == value_of(half));
      REQUIRE(float_to_half(value) == half);
    } else if ((half & 0x3FF) == 0) {
      REQUIRE(std::isinf(value));
      REQUIRE(float_to_half(value) == half);
    } else {
      REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(half_to_float(float_to_half(value))));
    }
  }
}

TEST_CASE("between two halves the nearer is taken, halfway the even one") {
  for (std::uint16_t half = 0; half < 0x7BFF; ++half) {
    const auto next = static_cast<std::uint16_t>(half + 1);
    const auto middle = static_cast<float>((value_of(half) + value_of(next)) / 2);
    REQUIRE(float_to_half(middle) == (half % 2 == 0 ? half : next));
    REQUIRE(float_to_half(std::nextafter(middle, 0.0F)) == half);
    REQUIRE(float_to_half(std::nextafter(middle, 1e9F)) == next);
  }
  CHECK(float_to_half(65519.9F) == 0x7BFF);
  CHECK(float_to_half(65520.0F) == 0x7C00);
  CHECK(float_to_half(-1e30F) == 0xFC00);
  CHECK(float_to_half(std::numeric_limits<float>::denorm_min()) == 0);
}

}  // namespace
}  // namespace cleave::test
