// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/unary.h"

namespace cleave::ops {

OpResult create_convert(const OpSpec& spec) {
  return create_unary(spec.output, xnn_unary_convert, {}, spec.input_types[0], spec.output_type);
}

}  // namespace cleave::ops
