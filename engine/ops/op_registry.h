// SPDX-License-Identifier: Apache-2.0
//
// From what the model file says to an operator that runs.
#pragma once

#include "engine/ops/op.h"

namespace cleave::ops {

// REQUIRES: initialize_xnnpack() succeeded. Errors: kUnsupported, kResourceExhausted, with the op's
// name in front.
[[nodiscard]] OpResult create_op(const OpSpec& spec);

}  // namespace cleave::ops
