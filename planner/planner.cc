// SPDX-License-Identifier: Apache-2.0
#include "planner/planner.h"

#include "planner/pareto.h"
#include "planner/policies.h"
#include "planner/score.h"

namespace cleave::planner {
namespace {

PlanStatus check(std::span<const Candidate> candidates, const Conditions& conditions,
                 const Request& request, const Outputs& outputs) {
  if (candidates.size() > kMaxCandidates) return PlanStatus::kTooMany;
  if (outputs.scores.size() < candidates.size() || outputs.front.size() < candidates.size()) {
    return PlanStatus::kOutputTooSmall;
  }
  const bool valid = conditions.bytes_at <= Percentile::kP95 && is_valid(request);
  return valid ? PlanStatus::kOk : PlanStatus::kBadRequest;
}

std::uint64_t ObjectivePoint::*field_of(Objective objective) {
  switch (objective) {
    case Objective::kLatency:
      return &ObjectivePoint::latency_ns;
    case Objective::kEdgeMemory:
      return &ObjectivePoint::memory_bytes;
    case Objective::kEnergy:
      return &ObjectivePoint::energy_uj;
    case Objective::kCost:
      break;
  }
  return &ObjectivePoint::cost_ueur;
}

void report_objective(Objective objective, const Score& best, const Score& worst,
                      Decision& decision) {
  const Minimized g(objective);
  const auto field = field_of(objective);
  decision.ideal.*field = g.turn(g(best));
  decision.nadir.*field = g.turn(g(worst));
}

// The front improves in f_i as it worsens in f_j, so its ends are the two single-objective optima.
void report_front(std::span<Score> scores, std::span<const CandidateIndex> front,
                  Decision& decision) {
  decision.front_size = static_cast<std::uint16_t>(front.size());
  if (front.empty()) return;
  for (const CandidateIndex index : front) scores[index].on_front = true;
  const Score& best_j = scores[front.front()];
  const Score& best_i = scores[front.back()];
  report_objective(decision.objectives.optimized, best_i, best_j, decision);
  report_objective(decision.objectives.constrained, best_j, best_i, decision);
}

}  // namespace

Decision plan(std::span<const Candidate> candidates, const Conditions& conditions,
              const Request& request, const Outputs& outputs) {
  const PlanStatus status = check(candidates, conditions, request, outputs);
  if (status != PlanStatus::kOk) return {.status = status};
  const std::span<Score> scores = outputs.scores.first(candidates.size());
  for (std::size_t n = 0; n < candidates.size(); ++n) scores[n] = score(candidates[n], conditions);
  const std::size_t front_size =
      pareto_front(candidates, scores, request.objectives, outputs.front);
  const std::span<const CandidateIndex> front = outputs.front.first(front_size);
  Decision decision = choose(candidates, scores, front, request);
  decision.objectives = request.objectives;
  report_front(scores, front, decision);
  return decision;
}

}  // namespace cleave::planner
