// SPDX-License-Identifier: Apache-2.0
//
// What lies where in the arena of a range of ops, and from which op to which: the memory plan, for
// those who want to see it (`cleave-import inspect --memory`).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/executor.h"
#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// One tensor, or the workspace of one op. Its bytes are its own in ops first_op..last_op, but for
// the op that reads it for the last time while it writes its output over it (in place).
struct ArenaPlacement {
  std::optional<TensorId> tensor;  // nothing: workspace of first_op
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // as planned, with the slack that kernels read
  OpIndex first_op = 0;
  OpIndex last_op = 0;

  [[nodiscard]] bool lives_in(OpIndex op) const { return first_op <= op && op <= last_op; }
};

struct ArenaMap {
  OpRange range;
  std::uint64_t bytes = 0;                 // of the arena
  std::vector<ArenaPlacement> placements;  // ascending by first op, then by offset
};

// The arena that prepare(range, batch) of a single-threaded executor plans. Empty for an empty
// range. Errors: as plan_arena_bytes. Thread-safe.
[[nodiscard]] Result<ArenaMap> map_arena(const fbs::Variant& variant, OpRange range,
                                         std::uint32_t batch, OutputPlace outputs,
                                         Preference preference = Preference::kSpeed);

// Bytes of the arena that something lives in while `op` runs: what two placements share counts
// once.
[[nodiscard]] std::uint64_t live_bytes(const ArenaMap& map, OpIndex op);

// Whether something that lives in `op` ends where the arena ends: it is as large as it is because
// of such ops.
[[nodiscard]] bool is_high_water(const ArenaMap& map, OpIndex op);

}  // namespace cleave
