// SPDX-License-Identifier: Apache-2.0
//
// Kernels and biases of one node to integers.
#pragma once

#include <cstddef>
#include <span>

#include "engine/importer/calibration.h"
#include "engine/importer/graph.h"

namespace cleave::importer {

// How an int8 value is held.
struct Int8Scale {
  float scale = 1;
  std::int32_t zero_point = 0;
  friend bool operator==(const Int8Scale&, const Int8Scale&) = default;
};

// True when the source held the node's kernel as int8, and it is still what that held.
[[nodiscard]] bool keeps_source_integers(const Node& node, std::size_t channels);

// Moves the kernel and bias of a convolution with `channels` output channels to integers, given its
// input's and output's scales. `input_channels` has one entry per input channel, and corrects the
// bias, or is empty. REQUIRES: weights finite.
void quantize_convolution(Node& node, std::size_t channels,
                          std::span<const ChannelRange> input_channels, const Int8Scale& input,
                          const Int8Scale& output);

// Moves a fully connected layer's kernel to integers; values and bias stay f32. The rest as above.
void quantize_fully_connected(Node& node, std::size_t channels,
                              std::span<const ChannelRange> input_channels);

}  // namespace cleave::importer
