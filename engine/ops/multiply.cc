// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/binary.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {

OpResult create_multiply(const OpSpec& spec) { return create_binary(spec, xnn_binary_multiply); }

}  // namespace cleave::ops
