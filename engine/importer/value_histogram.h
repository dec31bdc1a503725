// SPDX-License-Identifier: Apache-2.0
//
// How often a value of the network takes on what, and the range that int8 holds best.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/importer/calibration.h"

namespace cleave::importer {

// Counts in equal bins over a range that doubles as larger values come. Not thread-safe.
class ValueHistogram {
 public:
  // False when a value is not finite; the rest is counted all the same.
  bool add(std::span<const float> values);

  // The range, within what was seen, under which 256 steps give the least mean squared error, that
  // of values beyond the range counted four times: they saturate, so that those within get finer
  // steps. [0, 0] when nothing was added. Where `averaged` of the values become one mean, rounding
  // errs that much less; values that saturate do not.
  [[nodiscard]] ValueRange best_range(double averaged = 1) const;

 private:
  // Bins lie evenly in (-limit_, limit_).
  static constexpr std::size_t kBins = 8192;

  void widen();
  [[nodiscard]] std::size_t bin_of(float value) const;
  [[nodiscard]] double center(std::size_t bin) const;
  [[nodiscard]] double error_of(ValueRange range, double averaged) const;

  float limit_ = 0;  // 0: nothing but zeros so far
  float minimum_ = 0;
  float maximum_ = 0;
  std::array<std::uint64_t, kBins> counts_{};
};

}  // namespace cleave::importer
