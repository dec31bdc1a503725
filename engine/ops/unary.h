// SPDX-License-Identifier: Apache-2.0
//
// Operators that map each element by itself.
#pragma once

#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {

// The elements of `shape` through XNNPACK's `kind`, from `input` to `output`. Works in place when
// both are held alike.
[[nodiscard]] OpResult create_unary(const fbs::Shape& shape, xnn_unary_operator kind,
                                    const xnn_unary_params& params, const TensorType& input = {},
                                    const TensorType& output = {});

[[nodiscard]] OpResult create_unary_clamp(const fbs::Shape& shape, const ClampRange& clamp,
                                          const TensorType& type);

}  // namespace cleave::ops
