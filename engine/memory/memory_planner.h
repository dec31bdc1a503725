// SPDX-License-Identifier: Apache-2.0
//
// Gives buffers places in one arena so that no two that live at the same time overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cleave {

// A buffer that must keep its bytes from step `first` to step `last`, both included.
struct BufferRequest {
  std::size_t bytes = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  // one per request; multiples of the alignment
  std::size_t bytes = 0;             // of the arena
};

// Greedy by size, best fit:
//   1. Sizes are rounded up to the alignment; requests are taken from the largest to the smallest,
//      equal ones in the order of their first step (so the plan is the same on every machine).
//   2. Those already placed that share a step with the request are walked by offset; the request
//      goes into the smallest gap between them that holds it, else after the last of them.
// Large buffers come first because they have the fewest places to go; the small ones fill the gaps.
// The result is not always the least possible, but never more than the sum of all requests, nor
// less than the most that lives at one step (live_bytes). Time: quadratic in the number of
// requests. REQUIRES: alignment is a power of two, first <= last, and the sum of bytes fits in
// size_t.
[[nodiscard]] MemoryPlan plan_memory(std::span<const BufferRequest> requests,
                                     std::size_t alignment);

// The most bytes that live at one step, rounded like the plan: no plan can be smaller.
[[nodiscard]] std::size_t live_bytes(std::span<const BufferRequest> requests,
                                     std::size_t alignment);

// The arena over time as text, a line per step from the first to the last: `columns` characters
// that span the arena (a letter per buffer, '.' where nothing lives) and the bytes that live then.
[[nodiscard]] std::string draw_plan(std::span<const BufferRequest> requests, const MemoryPlan& plan,
                                    std::size_t columns);

}  // namespace cleave
