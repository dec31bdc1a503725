// SPDX-License-Identifier: Apache-2.0
//
// What each channel of a value of the network takes on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/importer/calibration.h"

namespace cleave::importer {

// Gathers them over many pictures. Not thread-safe.
class ChannelStatistics {
 public:
  // One picture's: `values` as [pixels][channels], the channels innermost and as many at each call.
  void add(std::span<const float> values, std::size_t channels);

  // One per channel; none when nothing was added. Extremes, means and deviations of what was added.
  [[nodiscard]] std::vector<ChannelRange> ranges() const;

 private:
  // The largest of the pictures' extremes, the first the most so.
  static constexpr std::size_t kExtremes = 6;
  using Extremes = std::array<float, kExtremes>;
  static void insert(Extremes& extremes, float extreme);
  static float foretold(const Extremes& extremes);

  struct Channel {
    Extremes lows{};  // negated
    Extremes highs{};
    ValueRange picture;
    double sum = 0;
    double squares = 0;
    std::uint64_t occupied = 0;
  };
  std::vector<Channel> channels_;
  std::uint64_t pixels_ = 0;
};

}  // namespace cleave::importer
