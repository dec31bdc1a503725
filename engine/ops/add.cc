// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/binary.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {

OpResult create_add(const OpSpec& spec) { return create_binary(spec, xnn_binary_add); }

}  // namespace cleave::ops
