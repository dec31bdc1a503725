// SPDX-License-Identifier: Apache-2.0
//
// From what the model file says to an operator that runs.
#pragma once

#include "engine/ops/op.h"

namespace cleave::ops {

// REQUIRES: initialize_xnnpack() succeeded. Errors: kUnsupported, kResourceExhausted, with the op's
// name in front.
[[nodiscard]] OpResult create_op(const OpSpec& spec);

// Bytes of memory that the op's weights take once it was created on this CPU. XNNPACK's own packing
// is counted as large as the source: it adds what fills up the last columns.
[[nodiscard]] std::uint64_t weight_ram_bytes(const OpSpec& spec);

// What the op holds besides, outside of the arena, once it was reshaped on this CPU: the operator,
// and pointers to each pixel of each window where those are kept.
[[nodiscard]] std::uint64_t operator_bytes(const OpSpec& spec);

// Whether the op's weights are packed when it is first created and found packed after that, so that
// a weight cache serves it.
[[nodiscard]] bool is_packed_once(const OpSpec& spec);

}  // namespace cleave::ops
