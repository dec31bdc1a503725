// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/channel_statistics.h"

#include <algorithm>

namespace cleave::importer {

void ChannelStatistics::add(std::span<const float> values, std::size_t channels) {
  channels_.resize(channels);
  for (std::size_t i = 0; i < values.size(); ++i) {
    Channel& channel = channels_[i % channels];
    channel.range.minimum = std::min(channel.range.minimum, values[i]);
    channel.range.maximum = std::max(channel.range.maximum, values[i]);
    channel.sum += values[i];
  }
  pixels_ += values.size() / channels;
}

std::vector<ChannelRange> ChannelStatistics::ranges() const {
  std::vector<ChannelRange> ranges;
  for (const Channel& channel : channels_) {
    ranges.push_back(
        {channel.range, static_cast<float>(channel.sum / static_cast<double>(pixels_))});
  }
  return ranges;
}

}  // namespace cleave::importer
