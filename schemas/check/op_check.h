// SPDX-License-Identifier: Apache-2.0
//
// Checks one op of the model file, given the shapes around it.
#pragma once

#include <span>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// True for Conv2D, DepthwiseConv2D and FullyConnected: an op with a segment.
[[nodiscard]] bool has_weights(const fbs::Op& op);

// Options, constants, clamp, output shape and weight views of `op`. Each input's shape and `output`
// pass check_shape(). `segments` are the model's, already placed; may be null. The op's segment
// index is checked here; that no other op has it, by the caller.
[[nodiscard]] Status check_op(const fbs::Op& op, std::span<const fbs::Shape> inputs,
                              const fbs::Shape& output,
                              const flatbuffers::Vector<const fbs::Segment*>* segments);

}  // namespace cleave
