// SPDX-License-Identifier: Apache-2.0
//
// The epsilon-constraint method, and Algorithm 1 of the LMOS paper built on it.
//
// With the minimized objectives g1 = f1 (latency) and g2 = -f2 (edge memory), choose i, the
// objective that is optimized, and j, the one that is bounded (published: i = 2, j = 1):
//   1. ideal: the least g1 and the least g2 of any feasible candidate.
//   2. nadir_j: the least g_j among the candidates whose g_i is ideal.
//   3. epsilon = nadir_j.
//   4. Solve min g_i subject to g_j <= epsilon; keep the solution.
//   5. Stop when its g_j is ideal_j; else set epsilon to the next best value of g_j below it and
//      go to 4. On integers "the next below v" is v - 1: the same candidates satisfy both.
//   6. Drop dominated solutions. There are none: among equal g_i, step 4 takes the least g_j.
//   7. Return the solution ranked best in f_i, which is the first one found.
// The solutions are exactly the Pareto front, one candidate for each point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

// The objective that is not `objective`.
[[nodiscard]] constexpr Objective other(Objective objective) {
  return objective == Objective::kLatency ? Objective::kEdgeMemory : Objective::kLatency;
}

// Step 4: the feasible candidate with the least g_i subject to g_j <= epsilon, where j is
// `constrained` and epsilon is in its minimized form (minimized(), pareto.h). Among equal g_i the
// least g_j, then preferred(). kNoCandidate when nothing satisfies the bound. O(n).
// REQUIRES: scores as long as candidates, at most kMaxCandidates.
[[nodiscard]] CandidateIndex solve_epsilon(std::span<const Candidate> candidates,
                                           std::span<const Score> scores, Objective constrained,
                                           std::uint64_t epsilon);

struct EpsilonFront {
  std::size_t size = 0;                // solutions written
  CandidateIndex best = kNoCandidate;  // step 7
  std::uint64_t first_epsilon = 0;     // nadir_j, minimized form
};

// Algorithm 1 with j = `constrained`. Writes the solutions to `solutions` in the order found, from
// nadir_j to ideal_j: descending latency for j = 1, ascending for j = 2. O(n x size).
// REQUIRES: as solve_epsilon(), and solutions as long as candidates.
[[nodiscard]] EpsilonFront enumerate_front(std::span<const Candidate> candidates,
                                           std::span<const Score> scores, Objective constrained,
                                           std::span<CandidateIndex> solutions);

}  // namespace cleave::planner
