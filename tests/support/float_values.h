// SPDX-License-Identifier: Apache-2.0
//
// Lists of numbers that tests work out by hand.
#pragma once

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

namespace cleave::test {

// 1, 2, 3 ...
[[nodiscard]] inline std::vector<float> counting(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

// Equal but for the last bits.
inline void check_values(const std::vector<float>& actual, const std::vector<float>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CAPTURE(i);
    CHECK(actual[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  }
}

}  // namespace cleave::test
