// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/channel_statistics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cleave::importer {

void ChannelStatistics::insert(Extremes& extremes, float extreme) {
  for (float& held : extremes) {
    if (extreme > held) std::swap(extreme, held);
  }
}

// Extremes of pictures thin out by about the same factor over equal distances, as tails of many
// distributions do; that distance is the mean excess over the least of the largest.
float ChannelStatistics::foretold(const Extremes& extremes) {
  float excess = 0;
  for (const float extreme : extremes) excess += extreme - extremes.back();
  constexpr float kDistances = 2;
  return extremes.front() + kDistances * excess / (kExtremes - 1);
}

void ChannelStatistics::add(std::span<const float> values, std::size_t channels) {
  channels_.resize(channels);
  for (Channel& channel : channels_) channel.picture = {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    Channel& channel = channels_[i % channels];
    channel.picture.minimum = std::min(channel.picture.minimum, values[i]);
    channel.picture.maximum = std::max(channel.picture.maximum, values[i]);
    channel.sum += values[i];
    channel.occupied += values[i] != 0 ? 1 : 0;
    channel.squares += double{values[i]} * values[i];
  }
  for (Channel& channel : channels_) {
    insert(channel.lows, -channel.picture.minimum);
    insert(channel.highs, channel.picture.maximum);
  }
  pixels_ += values.size() / channels;
}

std::vector<ChannelRange> ChannelStatistics::ranges() const {
  std::vector<ChannelRange> ranges;
  for (const Channel& channel : channels_) {
    const double mean = channel.sum / static_cast<double>(pixels_);
    const double variance = channel.squares / static_cast<double>(pixels_) - mean * mean;
    const ValueRange range{-channel.lows.front(), channel.highs.front()};
    ranges.push_back(
        {range,
         static_cast<float>(mean),
         static_cast<float>(std::sqrt(std::max(variance, 0.0))),
         static_cast<float>(static_cast<double>(channel.occupied) / static_cast<double>(pixels_)),
         {-foretold(channel.lows), foretold(channel.highs)}});
  }
  return ranges;
}

}  // namespace cleave::importer
