// SPDX-License-Identifier: Apache-2.0
//
// One lane, as the kernel templates see it: the oracle of the vector kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

struct ScalarVector {
  static constexpr std::size_t kLanes = 1;
  float value;

  static ScalarVector load(const float* from) { return {*from}; }
  static ScalarVector all(float value) { return {value}; }
  void store(float* to) const { *to = value; }
  // Rounded to nearest, ties to even. REQUIRES: within int8.
  void store(std::int8_t* to) const { *to = static_cast<std::int8_t>(std::nearbyint(value)); }
  friend ScalarVector operator+(ScalarVector a, ScalarVector b) { return {a.value + b.value}; }
  friend ScalarVector operator-(ScalarVector a, ScalarVector b) { return {a.value - b.value}; }
  friend ScalarVector fma(ScalarVector a, ScalarVector b, ScalarVector c) {
    return {a.value * b.value + c.value};
  }
  friend ScalarVector clamp(ScalarVector x, ScalarVector low, ScalarVector high) {
    return {std::min(std::max(x.value, low.value), high.value)};
  }
};

}  // namespace cleave::kernels
