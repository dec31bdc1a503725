// SPDX-License-Identifier: Apache-2.0
//
// The epsilon-constraint method, and Algorithm 1 of the LMOS paper built on it.
//
// Of two objectives, each turned so that smaller is better (g, class Minimized of pareto.h), i is
// optimized and j is bounded. Published: i = 2, edge memory, and j = 1, latency; either way round
// and any other two work the same.
//   1. ideal: the least g_i and the least g_j of any feasible candidate.
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

// Step 4: the feasible candidate with the least g_i subject to g_j <= epsilon, epsilon in minimized
// form. Among equal g_i the least g_j, then preferred(). kNoCandidate when nothing satisfies the
// bound. O(n).
// REQUIRES: scores as long as candidates, at most kMaxCandidates; two known objectives.
[[nodiscard]] CandidateIndex solve_epsilon(std::span<const Candidate> candidates,
                                           std::span<const Score> scores,
                                           const ObjectivePair& objectives, std::uint64_t epsilon);

struct EpsilonFront {
  std::size_t size = 0;                // solutions written
  CandidateIndex best = kNoCandidate;  // step 7
  std::uint64_t first_epsilon = 0;     // nadir_j, minimized form
};

// Algorithm 1. Writes the solutions to `solutions` in the order found, from nadir_j to ideal_j: the
// front of plan(), backwards. O(n x size).
// REQUIRES: as solve_epsilon(), and solutions as long as candidates.
[[nodiscard]] EpsilonFront enumerate_front(std::span<const Candidate> candidates,
                                           std::span<const Score> scores,
                                           const ObjectivePair& objectives,
                                           std::span<CandidateIndex> solutions);

}  // namespace cleave::planner
