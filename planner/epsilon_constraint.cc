// SPDX-License-Identifier: Apache-2.0
#include "planner/epsilon_constraint.h"

#include "planner/fixed_point.h"
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

// The least minimized value of an objective over the feasible candidates. REQUIRES: there is one.
std::uint64_t ideal_value(std::span<const Score> scores, Objective objective) {
  std::uint64_t best = kSaturated;
  for (const Score& s : scores) {
    if (s.broken == kBoundNone && minimized(s, objective) < best) best = minimized(s, objective);
  }
  return best;
}

}  // namespace

CandidateIndex solve_epsilon(std::span<const Candidate> candidates, std::span<const Score> scores,
                             Objective constrained, std::uint64_t epsilon) {
  const Objective optimized = other(constrained);
  CandidateIndex best = kNoCandidate;
  std::uint64_t best_i = 0;
  std::uint64_t best_j = 0;
  for (std::size_t n = 0; n < candidates.size(); ++n) {
    const std::uint64_t g_i = minimized(scores[n], optimized);
    const std::uint64_t g_j = minimized(scores[n], constrained);
    if (scores[n].broken != kBoundNone || g_j > epsilon) continue;
    if (best != kNoCandidate) {
      if (g_i > best_i || (g_i == best_i && g_j > best_j)) continue;
      const bool equal = g_i == best_i && g_j == best_j;
      if (equal && !preferred(candidates[n], candidates[best])) continue;
    }
    best = static_cast<CandidateIndex>(n);
    best_i = g_i;
    best_j = g_j;
  }
  return best;
}

EpsilonFront enumerate_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                             Objective constrained, std::span<CandidateIndex> solutions) {
  // With no bound on g_j the optimum is ideal in g_i and, among those, best in g_j: its g_j is
  // nadir_j by definition (steps 1 to 3).
  const CandidateIndex best = solve_epsilon(candidates, scores, constrained, kSaturated);
  if (best == kNoCandidate) return {};
  const std::uint64_t ideal_j = ideal_value(scores, constrained);
  EpsilonFront front{
      .size = 0, .best = best, .first_epsilon = minimized(scores[best], constrained)};
  std::uint64_t epsilon = front.first_epsilon;
  while (true) {
    const CandidateIndex solution = solve_epsilon(candidates, scores, constrained, epsilon);
    solutions[front.size++] = solution;
    const std::uint64_t g_j = minimized(scores[solution], constrained);
    if (g_j == ideal_j) return front;
    epsilon = g_j - 1;
  }
}

}  // namespace cleave::planner
