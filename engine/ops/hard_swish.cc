// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/unary.h"

namespace cleave::ops {

OpResult create_hard_swish(const OpSpec& spec) {
  return create_unary(spec.output, xnn_unary_hardswish, {});
}

}  // namespace cleave::ops
