// SPDX-License-Identifier: Apache-2.0
//
// Operators that combine two tensors element by element; the second may be 1 x 1 x channels.
#pragma once

#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {

[[nodiscard]] OpResult create_binary(const OpSpec& spec, xnn_binary_operator kind);

}  // namespace cleave::ops
