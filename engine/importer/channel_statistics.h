// SPDX-License-Identifier: Apache-2.0
//
// What each channel of a value of the network takes on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/importer/calibration.h"

namespace cleave::importer {

// Gathers them over many pictures. Not thread-safe.
class ChannelStatistics {
 public:
  // `values` as [pixels][channels], the channels innermost and as many at each call.
  void add(std::span<const float> values, std::size_t channels);

  // One per channel; none when nothing was added. Extremes and means of what was added.
  [[nodiscard]] std::vector<ChannelRange> ranges() const;

 private:
  struct Channel {
    ValueRange range;
    double sum = 0;
  };
  std::vector<Channel> channels_;
  std::uint64_t pixels_ = 0;
};

}  // namespace cleave::importer
