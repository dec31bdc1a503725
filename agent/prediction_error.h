// SPDX-License-Identifier: Apache-2.0
//
// How far predictions are off, as a run goes on: the median over its last pictures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "agent/record.h"
#include "planner/median_window.h"

namespace cleave::agent {

// Errors in millionths of what it really was, whether too long or too short; 1000000 at most for a
// part that was predicted and took no time.
struct PartErrors {
  std::uint64_t edge_ppm = 0;
  std::uint64_t link_ppm = 0;
  std::uint64_t server_ppm = 0;
  std::uint64_t total_ppm = 0;
};

// Where the time of an answered picture went, in the parts that are predicted.
[[nodiscard]] PartTimes actual_times(const Record& record);

// |predicted - actual| / actual, in millionths, rounded down and saturating.
[[nodiscard]] std::uint64_t error_ppm(std::uint64_t predicted_ns, std::uint64_t actual_ns);

class PredictionErrors {
 public:
  static constexpr std::size_t kWindow = 100;

  // Takes in a picture that ended as it was planned; others say nothing of predictions.
  void observe(const Record& record);

  // Pictures taken in, and the medians over the last kWindow of them; none before the first. Parts
  // that no picture had (a device alone) are 0.
  [[nodiscard]] std::size_t pictures() const { return pictures_; }
  [[nodiscard]] std::optional<PartErrors> median() const;

 private:
  using Window = planner::MedianWindow<kWindow>;
  std::size_t pictures_ = 0;
  Window edge_, link_, server_, total_;
};

}  // namespace cleave::agent
