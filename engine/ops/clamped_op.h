// SPDX-License-Identifier: Apache-2.0
//
// The clamp of operators whose kernels do not apply one: a second pass over the output, in place.
#pragma once

#include "engine/ops/op.h"

namespace cleave::ops {

// `inner`, then the clamp of `spec`.
[[nodiscard]] OpResult add_clamp(std::unique_ptr<Op> inner, const OpSpec& spec);

}  // namespace cleave::ops
