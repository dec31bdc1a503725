// SPDX-License-Identifier: Apache-2.0
//
// An int8 variant of a network: convolutions, pools, sums and concatenations on int8 values with
// one scale each, kernels with one scale per output channel (Jacob et al., "Quantization and
// Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018;
// Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018).
#pragma once

#include "engine/importer/calibration.h"
#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::importer {

// The int8 form of a lowered graph.
// - Convolutions, max pools, clamps, sums, concatenations and paddings run on int8 values.
// - Fully connected layers take f32 values and int8 kernels: one picture's layer is a stream of
//   weights, and its sum loses nothing to the values. A convolution that makes one pixel of its
//   whole input becomes one.
// - Everything else runs in f32. Where f32 meets int8 a Convert stands, belonging to the layer that
//   needs it, so that a cut before it carries the smaller form.
// Where the source was quantized itself, its kernels' scales are kept if they are symmetric int8,
// and with ScaleSource::kSourceFirst its values' if they have one scale.
// REQUIRES: lower(graph) succeeded; `calibration` is of it. Errors: kUnsupported (weights or ranges
// that are not finite).
enum class ScaleSource { kSourceFirst, kRangesOnly };
[[nodiscard]] Result<Graph> quantize(const Graph& graph, const Calibration& calibration,
                                     ScaleSource scales);

}  // namespace cleave::importer
