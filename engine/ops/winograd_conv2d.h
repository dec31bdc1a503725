// SPDX-License-Identifier: Apache-2.0
//
// A 3x3 convolution of stride 1 by Winograd's minimal filtering F(4x4, 3x3): a quarter of the
// multiplications of the direct form, on kernels of our own.
#pragma once

#include "engine/kernels/dispatch.h"
#include "engine/ops/op.h"

namespace cleave::ops {

// Whether the convolution can be computed so and gains by it: f32 tensors, 3x3, stride 1, no
// dilation, no groups, padding of at most 1, and enough channels on both sides that transforms are
// paid back. With Preference::kMemory only where the weights grow by little beside the tensors:
// they then are less than what computing in place saves.
[[nodiscard]] bool winograd_pays(const OpSpec& spec);

// REQUIRES: winograd_pays(spec). `table` stays valid as long as the operator.
[[nodiscard]] OpResult create_winograd_conv2d(const OpSpec& spec,
                                              const kernels::KernelTable& table);

}  // namespace cleave::ops
