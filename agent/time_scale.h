// SPDX-License-Identifier: Apache-2.0
//
// Measured times at another clock: integers, rounded up, saturating.
#pragma once

#include <algorithm>
#include <cstdint>

#include "planner/fixed_point.h"

namespace cleave::agent {

// How fast a device is: at the measurement of its table, or now.
struct DeviceSpeed {
  std::uint32_t clock_khz = 0;  // 0: not known
  std::uint32_t cores = 0;      // usable; 0: not known
  friend bool operator==(const DeviceSpeed&, const DeviceSpeed&) = default;
};

struct TimeScale {
  std::uint64_t numerator = 1, denominator = 1;

  [[nodiscard]] std::uint64_t apply(std::uint64_t ns) const {
    const planner::Quotient q = planner::divide(planner::full_product(ns, numerator), denominator);
    return q.remainder == 0 ? q.value : planner::saturating_add(q.value, 1);
  }
  [[nodiscard]] bool is_one() const { return numerator == denominator; }
};

// A time goes with 1 / (clock x cores that its threads run on); what is not known on either side
// scales nothing. `threads` of 1: whatever runs on one core.
[[nodiscard]] inline TimeScale time_scale(const DeviceSpeed& measured, const DeviceSpeed& now,
                                          std::uint32_t threads) {
  TimeScale scale;
  if (measured.clock_khz != 0 && now.clock_khz != 0) {
    scale = {.numerator = measured.clock_khz, .denominator = now.clock_khz};
  }
  if (measured.cores != 0 && now.cores != 0) {
    scale.numerator *= std::min(measured.cores, threads);
    scale.denominator *= std::min(now.cores, threads);
  }
  return scale;
}

}  // namespace cleave::agent
