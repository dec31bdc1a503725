// SPDX-License-Identifier: Apache-2.0
//
// Channels of one value brought to like ranges before int8 gives them one scale (the cross-layer
// equalization of Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
// Correction", 2019, but by what calibration saw instead of by the weights alone).
#pragma once

#include "engine/importer/calibration.h"
#include "engine/importer/graph.h"

namespace cleave::importer {

// Multiplies channels of the values between a convolution (depthwise or not) and the depthwise
// convolutions that read it, and divides the readers' kernels by the same. Both kernels have a
// scale for each of these channels in int8, so that they lose nothing, while the values' error
// shrinks in the channels that took up little of the range.
// - A factor is between 1 and 4, and leaves a channel a quarter of headroom below the range.
// - The function of the network stays the same but for rounding, and for what a finite clamp at the
//   convolution's output cuts off: values beyond 4/3 of what the channel took on in calibration.
// - A value stays as it is if it is the network's input or output, if anything else reads it, or if
//   its channels are not known.
// - A kernel that came with int8 scales keeps its integers, with scales that moved along.
// True when anything changed; `calibration` no longer holds then.
// REQUIRES: lower(graph) succeeded; `calibration` is of it.
bool equalize(Graph& graph, const Calibration& calibration);

}  // namespace cleave::importer
