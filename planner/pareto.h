// SPDX-License-Identifier: Apache-2.0
//
// Dominance, tie order and the exact Pareto front of two objectives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

// Reads one objective of a score, turned so that smaller is better: g = f itself, but for the edge
// memory UINT64_MAX - f2, which orders as -f2 does and needs no sign. REQUIRES: a known objective.
class Minimized {
 public:
  explicit constexpr Minimized(Objective objective)
      : field_(field_of(objective)),
        flip_(objective == Objective::kEdgeMemory ? ~std::uint64_t{0} : 0) {}

  constexpr std::uint64_t operator()(const Score& score) const { return score.*field_ ^ flip_; }
  // The value as it stands in a score, of one that is minimized; and the other way round.
  constexpr std::uint64_t turn(std::uint64_t value) const { return value ^ flip_; }

 private:
  using Field = std::uint64_t Score::*;
  static constexpr Field field_of(Objective objective) {
    switch (objective) {
      case Objective::kLatency:
        return &Score::latency_ns;
      case Objective::kEdgeMemory:
        return &Score::memory_bytes;
      case Objective::kEnergy:
        return &Score::energy_uj;
      case Objective::kCost:
        break;
    }
    return &Score::cost_ueur;
  }

  Field field_;
  std::uint64_t flip_;
};

// Whether `a` is no worse than `b` in both objectives and better in one.
[[nodiscard]] constexpr bool dominates(const Score& a, const Score& b,
                                       const ObjectivePair& objectives = {}) {
  const Minimized g_i(objectives.optimized);
  const Minimized g_j(objectives.constrained);
  return g_i(a) <= g_i(b) && g_j(a) <= g_j(b) && (g_i(a) < g_i(b) || g_j(a) < g_j(b));
}

// The order among candidates with equal scores: smaller split, cut, median boundary bytes,
// disagreement, variant, codec. Equal in all of them: the one that comes first in the span (callers
// scan upward and replace only by what is strictly preferred).
[[nodiscard]] bool preferred(const Candidate& a, const Candidate& b);

// Writes the indices of the Pareto front of the candidates with broken == 0, ascending in g_j and
// descending in g_i, and returns how many.
//
// Candidates are added one at a time to a front kept sorted: the newcomer is dropped if its left
// neighbour (the best in g_i that is no worse in g_j) dominates it, else it replaces the run of
// entries to its right that it dominates. O(n log f) comparisons and O(n f) index moves, f the
// front's size; no working memory but `front`.
// REQUIRES: scores and front as long as candidates; at most kMaxCandidates; two known objectives.
std::size_t pareto_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                         const ObjectivePair& objectives, std::span<CandidateIndex> front);

}  // namespace cleave::planner
