// SPDX-License-Identifier: Apache-2.0
//
// Dominance, tie order and the exact Pareto front of latency (minimized) against edge memory
// (maximized).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

// The value of an objective turned so that smaller is better: f1 itself, and UINT64_MAX - f2,
// which orders as -f2 does and needs no sign.
[[nodiscard]] constexpr std::uint64_t minimized(const Score& score, Objective objective) {
  return objective == Objective::kLatency ? score.latency_ns : ~score.memory_bytes;
}

// Whether `a` is no worse than `b` in both objectives and better in one.
[[nodiscard]] constexpr bool dominates(const Score& a, const Score& b) {
  return a.latency_ns <= b.latency_ns && a.memory_bytes >= b.memory_bytes &&
         (a.latency_ns < b.latency_ns || a.memory_bytes > b.memory_bytes);
}

// The order among candidates with equal scores: smaller split, cut, boundary bytes, variant,
// codec. Equal in all of them: the one that comes first in the span (callers scan upward and
// replace only by what is strictly preferred).
[[nodiscard]] bool preferred(const Candidate& a, const Candidate& b);

// Writes the indices of the Pareto front of the candidates with broken == 0, ascending in latency
// and in memory, and returns how many.
//
// Candidates are added one at a time to a front kept sorted: the newcomer is dropped if its left
// neighbour (the deepest that is no slower) dominates it, else it replaces the run of entries to
// its right that it dominates. O(n log f) comparisons and O(n f) index moves, f the front's size;
// no working memory but `front`.
// REQUIRES: scores and front as long as candidates; at most kMaxCandidates.
std::size_t pareto_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                         std::span<CandidateIndex> front);

}  // namespace cleave::planner
