// SPDX-License-Identifier: Apache-2.0
//
// Kernels and biases of one node to integers.
#pragma once

#include "engine/importer/graph.h"

namespace cleave::importer {

// How an int8 value is held.
struct Int8Scale {
  float scale = 1;
  std::int32_t zero_point = 0;
  friend bool operator==(const Int8Scale&, const Int8Scale&) = default;
};

// Moves the kernel and bias of a convolution with `channels` output channels to integers, given its
// input's and output's scales. REQUIRES: weights finite.
void quantize_convolution(Node& node, std::size_t channels, const Int8Scale& input,
                          const Int8Scale& output);

// Moves a fully connected layer's kernel to integers; values and bias stay f32. REQUIRES: weights
// finite.
void quantize_fully_connected(Node& node, std::size_t channels);

}  // namespace cleave::importer
