// SPDX-License-Identifier: Apache-2.0
#include "engine/arena_map.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/memory/range_plan.h"
#include "engine/ops/workspace_plan.h"

namespace cleave {
namespace {

// Step s is op s - 1 (memory/lifetime.h); before the first op and after the last is not shown.
OpIndex op_of_step(std::uint32_t step, OpRange range) {
  return std::clamp(step, range.first + 1, range.last) - 1;
}

}  // namespace

Result<ArenaMap> map_arena(const fbs::Variant& variant, OpRange range, std::uint32_t batch,
                           OutputPlace outputs, Preference preference) {
  // Checks range and batch as well.
  CLEAVE_RETURN_IF_ERROR(plan_arena_bytes(variant, range, batch, outputs, preference).status());
  ArenaMap map{.range = range, .bytes = 0, .placements = {}};
  if (range.empty()) return map;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<OpMemory> memory,
                          ops::plan_workspaces(variant, range, batch, preference));
  const RangePlan plan = plan_range(variant, range, batch, memory, outputs);
  map.bytes = plan.memory.bytes;
  const auto place = [&](std::optional<TensorId> tensor, const BufferRequest& buffer,
                         std::size_t offset) {
    if (offset == RangePlan::kNowhere) return;
    map.placements.push_back({.tensor = tensor,
                              .offset = offset,
                              .bytes = buffer.bytes,
                              .first_op = op_of_step(buffer.first, range),
                              .last_op = op_of_step(buffer.last, range)});
  };
  for (TensorId tensor = 0; tensor < plan.tensor_offsets.size(); ++tensor) {
    place(tensor, plan.tensors[tensor], plan.tensor_offsets[tensor]);
  }
  for (std::size_t i = 0; i < plan.workspaces.size(); ++i) {
    place(std::nullopt, plan.workspaces[i], plan.workspace_offsets[i]);
  }
  std::ranges::stable_sort(map.placements, {}, [](const ArenaPlacement& placement) {
    return std::tuple(placement.first_op, placement.offset);
  });
  return map;
}

std::uint64_t live_bytes(const ArenaMap& map, OpIndex op) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> live;  // offset, end
  for (const ArenaPlacement& placement : map.placements) {
    if (placement.lives_in(op))
      live.emplace_back(placement.offset, placement.offset + placement.bytes);
  }
  std::ranges::sort(live);
  std::uint64_t bytes = 0;
  std::uint64_t counted_to = 0;
  for (const auto& [offset, end] : live) {
    bytes += end - std::min(end, std::max(offset, counted_to));
    counted_to = std::max(counted_to, end);
  }
  return bytes;
}

bool is_high_water(const ArenaMap& map, OpIndex op) {
  return std::ranges::any_of(map.placements, [&](const ArenaPlacement& placement) {
    // The plan rounds sizes up to the alignment.
    return placement.lives_in(op) &&
           placement.offset + placement.bytes + kBufferAlignment > map.bytes;
  });
}

}  // namespace cleave
