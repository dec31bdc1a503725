// SPDX-License-Identifier: Apache-2.0
//
// Pools that XNNPACK cannot compute, by a kernel of our own.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/ops/op.h"

namespace cleave::ops {

// Apply the clamp of `spec`.
[[nodiscard]] OpResult create_scalar_pool(const OpSpec& spec, const fbs::Window& window,
                                          const fbs::Padding& padding, kernels::PoolRow* kernel);
// REQUIRES: spec.on_int8().
[[nodiscard]] OpResult create_scalar_pool(const OpSpec& spec, const fbs::Window& window,
                                          const fbs::Padding& padding,
                                          kernels::Int8PoolRow* kernel);

}  // namespace cleave::ops
