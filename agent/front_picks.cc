// SPDX-License-Identifier: Apache-2.0
#include "agent/front_picks.h"

#include "planner/pareto.h"

namespace cleave::agent {
namespace {

using planner::CandidateIndex;
using planner::Minimized;
using planner::Score;

// An objective from 0 at its best on the front to 1 at its worst. Differences are taken as integers
// first: of neighbouring values near 2^64 a double sees none.
class Scaled {
 public:
  Scaled(planner::Objective objective, const Score& best, const Score& worst)
      : g_(objective), best_(g_(best)), width_(static_cast<double>(g_(worst) - best_)) {}

  double operator()(const Score& score) const {
    return static_cast<double>(g_(score) - best_) / width_;
  }

 private:
  Minimized g_;
  std::uint64_t best_;
  double width_;
};

}  // namespace

std::optional<CandidateIndex> best_on_front(std::span<const Score> scores,
                                            std::span<const CandidateIndex> front,
                                            planner::Objective objective) {
  if (front.empty()) return std::nullopt;
  const Minimized g(objective);
  CandidateIndex best = front.front();
  for (const CandidateIndex index : front) {
    if (g(scores[index]) < g(scores[best])) best = index;
  }
  return best;
}

std::optional<CandidateIndex> knee_of_front(std::span<const Score> scores,
                                            std::span<const CandidateIndex> front,
                                            const planner::ObjectivePair& objectives) {
  if (front.empty()) return std::nullopt;
  CandidateIndex knee = front.front();
  if (front.size() < 3) return knee;
  const Score& best_j = scores[front.front()];
  const Score& best_i = scores[front.back()];
  const Scaled i(objectives.optimized, best_i, best_j);
  const Scaled j(objectives.constrained, best_j, best_i);
  double farthest = 0;  // below the line i + j = 1, on which both ends are
  for (const CandidateIndex index : front.subspan(1, front.size() - 2)) {
    const double below = 1 - i(scores[index]) - j(scores[index]);
    if (below <= farthest) continue;
    farthest = below;
    knee = index;
  }
  return knee;
}

}  // namespace cleave::agent
