// SPDX-License-Identifier: Apache-2.0
//
// The workspaces that ops would ask for, learnt without their weights.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/tensor.h"
#include "schemas/status.h"

namespace cleave::ops {

// One entry per op of `range`, for one thread. Makes each operator with weights that are not there,
// reshapes it and drops it; microseconds an op. Errors: as create_op and reshape.
// REQUIRES: range within the variant.
[[nodiscard]] Result<std::vector<std::size_t>> plan_workspaces(const fbs::Variant& variant,
                                                               OpRange range, std::uint32_t batch);

}  // namespace cleave::ops
