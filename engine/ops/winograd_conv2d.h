// SPDX-License-Identifier: Apache-2.0
//
// A convolution of stride 1 by Winograd's minimal filtering, on kernels of our own: 3x3 by
// F(4x4, 3x3), a quarter of the multiplications of the direct form, or F(2x2, 3x3), 16 for 36,
// where there are few tiles (winograd_weights.h); 5x5 by F(2x2, 5x5), 36 for 100.
#pragma once

#include "engine/kernels/dispatch.h"
#include "engine/ops/op.h"

namespace cleave::ops {

// Whether the op is a convolution that can be computed so and gains by it: 3x3 or 5x5, stride 1, no
// dilation, no groups, padding of at most half the window, and enough channels on both sides that
// transforms are paid back. On int8 tensors only where the table has kernels for them. With
// Preference::kMemory only where the weights grow by little beside the tensors: they then are less
// than what computing in place saves.
[[nodiscard]] bool winograd_pays(const OpSpec& spec, const kernels::KernelTable& table);

// REQUIRES: winograd_pays(spec, table). `table` stays valid as long as the operator.
[[nodiscard]] OpResult create_winograd_conv2d(const OpSpec& spec,
                                              const kernels::KernelTable& table);

}  // namespace cleave::ops
