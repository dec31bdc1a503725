// SPDX-License-Identifier: Apache-2.0
//
// The arena of a range of ops: which tensors and workspaces it holds, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "engine/memory/memory_planner.h"
#include "engine/tensor.h"

namespace cleave {

struct RangePlan {
  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  std::vector<TensorId> inputs;                // what crosses the cut at range.first, ascending
  std::vector<TensorId> outputs;               // what crosses the cut at range.last, ascending
  std::vector<std::size_t> tensor_offsets;     // by tensor id; kNowhere: not part of the range
  std::vector<std::size_t> workspace_offsets;  // by op - range.first; kNowhere: has none
  std::vector<BufferRequest> requests;         // what was planned, and the plan, for printing
  MemoryPlan memory;
};

// `workspace_bytes` has one entry per op of the range. Inputs are alive from before the first op,
// outputs until after the last; a tensor that only passes through is both, in one place. With
// OutputPlace::kCaller, outputs that the range computes have no place.
// REQUIRES: range within the variant.
[[nodiscard]] RangePlan plan_range(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                                   std::span<const std::size_t> workspace_bytes,
                                   OutputPlace outputs = OutputPlace::kArena);

}  // namespace cleave
