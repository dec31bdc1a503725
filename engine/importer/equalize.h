// SPDX-License-Identifier: Apache-2.0
//
// Channels of one value brought to like ranges before int8 gives them one scale (the cross-layer
// equalization of Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
// Correction", 2019, but by what calibration saw instead of by the weights alone).
#pragma once

#include "engine/importer/calibration.h"
#include "engine/importer/graph.h"

namespace cleave::importer {

// Multiplies channels of values by factors, and divides the kernels that read them by the same. The
// kernel that writes a channel has a scale for it in int8, and loses nothing; the values' error
// shrinks in the channels that took up little of the range. Sums, concatenations, pools and clamps
// may lie between: their inputs and outputs get the same factors (ChannelGroups).
// - A factor is between 1 and 4, and keeps what pictures to come may take on (ChannelRange) within
//   the range. Readers other than depthwise convolutions have one scale for all their inputs: the
//   factors are taken to the power, between 0 and 1, under which the readers' sums err least
//   (RoundingNoise).
// - The function of the network stays the same but for rounding, and for what a finite clamp cuts
//   off: values beyond what the channel was foretold to take on.
// - A value stays as it is if it is the network's input or output, if anything that is not linear
//   in each channel reads or writes it, or if its channels are not known.
// - A depthwise kernel that came with int8 scales keeps its integers, as does any kernel whose
//   inputs stay, with scales that moved along.
// True when anything changed; `calibration` no longer holds then.
// REQUIRES: lower(graph) succeeded; `calibration` is of it.
bool equalize(Graph& graph, const Calibration& calibration);

}  // namespace cleave::importer
