// SPDX-License-Identifier: Apache-2.0
//
// Factors of channels taken up by the kernels at both ends.
#pragma once

#include <cstddef>
#include <span>

#include "engine/importer/graph.h"

namespace cleave::importer {

// The input channel that an element of a kernel is multiplied with. `channels`: of the output.
[[nodiscard]] std::size_t input_channel_of(const Node& node, std::size_t channels,
                                           std::size_t input_channels, std::size_t element);

// The output channel that an element of a kernel belongs to.
[[nodiscard]] std::size_t output_channel_of(const Node& node, std::size_t channels,
                                            std::size_t element);

// Kernel, its int8 scales and bias of each output channel times `factors`.
// REQUIRES: a convolution, depthwise or not, or a fully connected layer; a factor for each channel.
void scale_outputs(Node& node, std::span<const float> factors);

// What the node reads was multiplied by `factors`, one for each input channel: its kernel takes
// them back. A depthwise kernel keeps its integers; those of another kernel are no longer on one
// grid. `channels`: of the output. REQUIRES: as above.
void scale_inputs(Node& node, std::size_t channels, std::span<const float> factors);

}  // namespace cleave::importer
