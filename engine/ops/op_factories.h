// SPDX-License-Identifier: Apache-2.0
//
// One function per operator of schemas/model.fbs. Errors of all: kUnsupported (naming what the CPU
// or the kernels lack), kResourceExhausted.
#pragma once

#include "engine/ops/op.h"

namespace cleave::ops {

// These apply the op's clamp themselves.
OpResult create_conv2d(const OpSpec& spec);
OpResult create_depthwise_conv2d(const OpSpec& spec);
OpResult create_fully_connected(const OpSpec& spec);
OpResult create_max_pool2d(const OpSpec& spec);
OpResult create_average_pool2d(const OpSpec& spec);
OpResult create_clamp(const OpSpec& spec);

// For these the registry adds it (clamped_op.h).
OpResult create_global_average_pool(const OpSpec& spec);
OpResult create_leaky_relu(const OpSpec& spec);
OpResult create_hard_swish(const OpSpec& spec);
OpResult create_sigmoid(const OpSpec& spec);
OpResult create_add(const OpSpec& spec);
OpResult create_multiply(const OpSpec& spec);
OpResult create_concat(const OpSpec& spec);
OpResult create_pad(const OpSpec& spec);
OpResult create_lrn(const OpSpec& spec);
OpResult create_softmax(const OpSpec& spec);
OpResult create_convert(const OpSpec& spec);

}  // namespace cleave::ops
