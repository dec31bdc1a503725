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
#include "engine/memory/op_memory.h"
#include "engine/tensor.h"

namespace cleave {

struct RangePlan {
  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  std::vector<TensorId> inputs;                // what crosses the cut at range.first, ascending
  std::vector<TensorId> outputs;               // what crosses the cut at range.last, ascending
  std::vector<std::size_t> tensor_offsets;     // by tensor id; kNowhere: not part of the range
  std::vector<std::size_t> workspace_offsets;  // by op - range.first; kNowhere: has none
  std::vector<BufferRequest> tensors;          // by tensor id: bytes and steps of what has a place
  std::vector<BufferRequest> workspaces;       // by op - range.first
  std::vector<BufferRequest> requests;  // what was planned: each of these, or what shares one
  MemoryPlan memory;
};

// `ops` has one entry per op of the range. Inputs are alive from before the first op,
// outputs until after the last; a tensor that only passes through is both, in one place. With
// OutputPlace::kCaller, outputs that the range computes have no place.
// Where the arena is fullest and the op there can (OpMemory::output_lead_bytes), its output lies
// over its input; elsewhere that would save nothing.
// REQUIRES: range within the variant.
[[nodiscard]] RangePlan plan_range(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                                   std::span<const OpMemory> ops,
                                   OutputPlace outputs = OutputPlace::kArena);

}  // namespace cleave
