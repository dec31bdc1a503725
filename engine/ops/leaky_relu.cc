// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/unary.h"

namespace cleave::ops {

OpResult create_leaky_relu(const OpSpec& spec) {
  const float slope = spec.op->options_as_LeakyRelu()->negative_slope();
  return create_unary(spec.output, xnn_unary_leaky_relu, {.leaky_relu = {.negative_slope = slope}});
}

}  // namespace cleave::ops
