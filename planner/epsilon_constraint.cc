// SPDX-License-Identifier: Apache-2.0
#include "planner/epsilon_constraint.h"

#include "planner/fixed_point.h"
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

// The least value of an objective over the feasible candidates. REQUIRES: there is one.
std::uint64_t ideal_value(std::span<const Score> scores, const Minimized& g) {
  std::uint64_t best = kSaturated;
  for (const Score& s : scores) {
    if (s.broken == kBoundNone && g(s) < best) best = g(s);
  }
  return best;
}

}  // namespace

CandidateIndex solve_epsilon(std::span<const Candidate> candidates, std::span<const Score> scores,
                             const ObjectivePair& objectives, std::uint64_t epsilon) {
  const Minimized g_i(objectives.optimized);
  const Minimized g_j(objectives.constrained);
  CandidateIndex best = kNoCandidate;
  std::uint64_t best_i = 0;
  std::uint64_t best_j = 0;
  for (std::size_t n = 0; n < candidates.size(); ++n) {
    const std::uint64_t value_i = g_i(scores[n]);
    const std::uint64_t value_j = g_j(scores[n]);
    if (scores[n].broken != kBoundNone || value_j > epsilon) continue;
    if (best != kNoCandidate) {
      if (value_i > best_i || (value_i == best_i && value_j > best_j)) continue;
      const bool equal = value_i == best_i && value_j == best_j;
      if (equal && !preferred(candidates[n], candidates[best])) continue;
    }
    best = static_cast<CandidateIndex>(n);
    best_i = value_i;
    best_j = value_j;
  }
  return best;
}

EpsilonFront enumerate_front(std::span<const Candidate> candidates, std::span<const Score> scores,
                             const ObjectivePair& objectives, std::span<CandidateIndex> solutions) {
  // With no bound on g_j the optimum is ideal in g_i and, among those, best in g_j: its g_j is
  // nadir_j by definition (steps 1 to 3).
  const CandidateIndex best = solve_epsilon(candidates, scores, objectives, kSaturated);
  if (best == kNoCandidate) return {};
  const Minimized g_j(objectives.constrained);
  const std::uint64_t ideal_j = ideal_value(scores, g_j);
  EpsilonFront front{.size = 0, .best = best, .first_epsilon = g_j(scores[best])};
  std::uint64_t epsilon = front.first_epsilon;
  while (true) {
    const CandidateIndex solution = solve_epsilon(candidates, scores, objectives, epsilon);
    solutions[front.size++] = solution;
    const std::uint64_t value_j = g_j(scores[solution]);
    if (value_j == ideal_j) return front;
    epsilon = value_j - 1;
  }
}

}  // namespace cleave::planner
