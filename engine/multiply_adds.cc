// SPDX-License-Identifier: Apache-2.0
#include "engine/multiply_adds.h"

#include "schemas/op_shape.h"

namespace cleave {

std::uint64_t multiply_adds(const fbs::Variant& variant, const fbs::Op& op) {
  if (op.kernel() == nullptr) return 0;
  const fbs::Shape& output = *variant.tensors()->Get(op.output())->shape();
  const std::uint64_t weights = op.kernel()->bytes() / dtype_bytes(op.kernel()->dtype());
  return weights * output.height() * output.width();
}

}  // namespace cleave
