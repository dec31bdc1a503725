// SPDX-License-Identifier: Apache-2.0
//
// The memory that ops would ask for beside their tensors, learnt without their weights.
#pragma once

#include <vector>

#include "engine/memory/op_memory.h"
#include "engine/preference.h"
#include "engine/tensor.h"
#include "schemas/status.h"

namespace cleave::ops {

// One entry per op of `range`, for one thread. Makes each operator with weights that are not there,
// reshapes it and drops it; microseconds an op. Errors: as create_op and reshape.
// REQUIRES: range within the variant.
[[nodiscard]] Result<std::vector<OpMemory>> plan_workspaces(const fbs::Variant& variant,
                                                            OpRange range, std::uint32_t batch,
                                                            Preference preference);

}  // namespace cleave::ops
