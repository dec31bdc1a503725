// SPDX-License-Identifier: Apache-2.0
//
// Operators that map each element by itself.
#pragma once

#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {

// The elements of `shape` through XNNPACK's `kind`. Works in place.
[[nodiscard]] OpResult create_unary(const fbs::Shape& shape, xnn_unary_operator kind,
                                    const xnn_unary_params& params);

[[nodiscard]] OpResult create_unary_clamp(const fbs::Shape& shape, const ClampRange& clamp);

}  // namespace cleave::ops
