// SPDX-License-Identifier: Apache-2.0
//
// What requests really took corrects the tables that plans are made from. A table of op times is
// off by a common factor more than by anything else: another clock, a neighbour on the same cores,
// warmer or colder caches than when it was measured. So each table has one factor, the median of
// the last few requests' actual by predicted times; ops that no request ran are corrected with the
// others.
//
// A machine that is believed slow is not used, so nothing would ever show that it has become
// faster: the longer no request ran there, the nearer its factor is taken to one (faded()).
#pragma once

#include <cstddef>
#include <cstdint>

#include "planner/fixed_point.h"
#include "planner/median_window.h"

namespace cleave::planner {

// Not safe for use by several threads at once. No allocation.
class Correction {
 public:
  static constexpr std::size_t kWindow = 5;
  // A factor of one. Factors stay within 1/1024 and 1024, which computed times (one multiply-add a
  // cycle) may be off; one request must not make every later plan absurd.
  static constexpr std::uint64_t kUnit = 1 << 20;
  static constexpr std::uint64_t kLeast = kUnit / 1024;
  static constexpr std::uint64_t kMost = kUnit * 1024;

  // Takes in one request: what the table as it is, without correction, gave for the ops that ran,
  // and what they took. Either 0 says nothing and is ignored.
  void observe(std::uint64_t predicted_ns, std::uint64_t actual_ns);

  // A time of the table, corrected; rounded up, saturating.
  [[nodiscard]] std::uint64_t apply(std::uint64_t table_ns) const {
    return saturating_muldiv_up(table_ns, factor_, kUnit);
  }

  // In units of 1 / kUnit; kUnit before the first request.
  [[nodiscard]] std::uint64_t factor() const { return factor_; }

  // This after `steps` periods without a request: in each, half of what the factor has above one
  // goes, and the requests before are forgotten. A factor of one or less stays, with its requests.
  [[nodiscard]] Correction faded(std::uint64_t steps) const {
    if (steps == 0 || factor_ <= kUnit) return *this;
    Correction later;
    if (steps < 64) later.factor_ += (factor_ - kUnit) >> steps;
    return later;
  }

  // Forgets every request: for another table.
  void reset();

 private:
  MedianWindow<kWindow> samples_;
  std::uint64_t factor_ = kUnit;
};

}  // namespace cleave::planner
