// SPDX-License-Identifier: Apache-2.0
#include "engine/head_memory.h"

#include "engine/cuts.h"
#include "engine/executor.h"
#include "engine/ops/op_registry.h"
#include "engine/weights.h"

namespace cleave {
std::uint64_t operator_bytes(const fbs::Variant& variant, OpIndex op, Preference preference) {
  return ops::operator_bytes(ops::make_op_spec(variant, op, preference));
}

Result<std::vector<HeadMemory>> plan_head_memory(const fbs::Model& header, std::uint32_t index,
                                                 std::span<const OpIndex> boundaries,
                                                 Preference preference) {
  const fbs::Variant& variant = *header.variants()->Get(index);
  CLEAVE_ASSIGN_OR_RETURN(const auto arenas, plan_cut_arenas(variant, boundaries, 1, preference));
  const std::vector<Cut> cuts = find_cuts(header, index);
  std::vector<HeadMemory> heads;
  heads.reserve(boundaries.size());
  std::uint64_t weights = 0;
  std::uint64_t other = kHeadOtherBytes;
  OpIndex counted = 0;
  for (std::size_t i = 0; i < boundaries.size(); ++i) {
    for (; counted < boundaries[i]; ++counted) {
      weights += weight_ram_bytes(variant, counted, preference);
      other += operator_bytes(variant, counted, preference);
    }
    if (boundaries[i] == 0) {
      heads.emplace_back();
      continue;
    }
    heads.push_back({.weight_bytes = weights,
                     .arena_bytes = arenas[i].head_bytes,
                     .boundary_bytes = cuts[boundaries[i]].boundary_bytes,
                     .other_bytes = other});
  }
  return heads;
}

}  // namespace cleave
