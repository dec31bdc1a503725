// SPDX-License-Identifier: Apache-2.0
//
// Depthwise convolutions on int8 tensors by kernels of our own.
#pragma once

#include "engine/kernels/dispatch.h"
#include "engine/ops/op.h"

namespace cleave::ops {

// Whether ours computes it: int8 tensors, one output channel for each of the input, few enough
// taps, and a kernel for this CPU. Elsewhere XNNPACK does.
[[nodiscard]] bool int8_depthwise_pays(const OpSpec& spec, const kernels::KernelTable& table);

// Bytes of the packed weights. REQUIRES: int8_depthwise_pays().
[[nodiscard]] std::size_t int8_depthwise_weight_bytes(const OpSpec& spec);

// REQUIRES: int8_depthwise_pays().
[[nodiscard]] OpResult create_int8_depthwise_conv2d(const OpSpec& spec,
                                                    const kernels::KernelTable& table);

}  // namespace cleave::ops
