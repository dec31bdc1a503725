// SPDX-License-Identifier: Apache-2.0
//
// An int8 convolution of few input channels, the first of most networks, as products of matrices:
// what a window sees becomes a row (im2col), so that the depth of the product is the whole window
// and not its few channels. On kernels of our own; rows of a few pixels are made and used at a
// time.
#pragma once

#include "engine/kernels/dispatch.h"
#include "engine/ops/op.h"

namespace cleave::ops {

// Whether the op is such a convolution, and the table has kernels for it: int8 tensors, at most 4
// input channels, a window of more than one pixel, no dilation, no groups.
[[nodiscard]] bool int8_im2col_pays(const OpSpec& spec, const kernels::KernelTable& table);

// Bytes of packed weights. REQUIRES: int8_im2col_pays(spec, table).
[[nodiscard]] std::size_t int8_im2col_weight_bytes(const OpSpec& spec,
                                                   const kernels::KernelTable& table);

// REQUIRES: int8_im2col_pays(spec, table). `table` stays valid as long as the operator. Errors:
// kResourceExhausted.
[[nodiscard]] OpResult create_int8_im2col_conv2d(const OpSpec& spec,
                                                 const kernels::KernelTable& table);

}  // namespace cleave::ops
