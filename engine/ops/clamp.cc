// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/unary.h"

namespace cleave::ops {

OpResult create_clamp(const OpSpec& spec) {
  return create_unary_clamp(spec.output, spec.clamp, spec.output_type);
}

}  // namespace cleave::ops
