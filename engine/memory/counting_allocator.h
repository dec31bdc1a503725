// SPDX-License-Identifier: Apache-2.0
//
// Where all memory of the engine that grows with the model comes from: arenas, packed weights, and
// whatever XNNPACK allocates. It counts, so that the memory plan can be checked against what was
// really taken, and that a run can be shown to allocate nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave {

struct AllocationCounts {
  std::uint64_t live_bytes = 0;   // allocated now
  std::uint64_t peak_bytes = 0;   // the most since the process started
  std::uint64_t allocations = 0;  // how many so far
};

// Of the whole process. Thread-safe; exact only while no other thread allocates.
[[nodiscard]] AllocationCounts allocation_counts();

// At least `bytes` bytes at a multiple of 64, uninitialized; nullptr when they cannot be had.
[[nodiscard]] void* counted_allocate(std::size_t bytes);
// Like realloc: nullptr leaves the old block alone.
[[nodiscard]] void* counted_reallocate(void* memory, std::size_t bytes);
// nullptr is ignored.
void counted_free(void* memory);

struct CountedFree {
  void operator()(void* memory) const { counted_free(memory); }
};

}  // namespace cleave
