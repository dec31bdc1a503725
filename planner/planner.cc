// SPDX-License-Identifier: Apache-2.0
#include "planner/planner.h"

#include "planner/cost_model.h"
#include "planner/pareto.h"
#include "planner/policies.h"

namespace cleave::planner {
namespace {

PlanStatus check(std::span<const Candidate> candidates, const Request& request,
                 const Outputs& outputs) {
  if (candidates.size() > kMaxCandidates) return PlanStatus::kTooMany;
  if (outputs.scores.size() < candidates.size() || outputs.front.size() < candidates.size()) {
    return PlanStatus::kOutputTooSmall;
  }
  return is_valid(request) ? PlanStatus::kOk : PlanStatus::kBadRequest;
}

ObjectivePoint point(const Score& score) {
  return {.latency_ns = score.latency_ns, .memory_bytes = score.memory_bytes};
}

// The front ascends in both objectives, so its ends are the two single-objective optima.
void report_front(std::span<Score> scores, std::span<const CandidateIndex> front,
                  Decision& decision) {
  decision.front_size = static_cast<std::uint16_t>(front.size());
  if (front.empty()) return;
  for (const CandidateIndex index : front) scores[index].on_front = true;
  const ObjectivePoint fastest = point(scores[front.front()]);
  const ObjectivePoint deepest = point(scores[front.back()]);
  decision.ideal = {.latency_ns = fastest.latency_ns, .memory_bytes = deepest.memory_bytes};
  decision.nadir = {.latency_ns = deepest.latency_ns, .memory_bytes = fastest.memory_bytes};
}

}  // namespace

Decision plan(std::span<const Candidate> candidates, const Link& link, const Caps& caps,
              const Request& request, const Outputs& outputs) {
  Decision decision;
  decision.status = check(candidates, request, outputs);
  if (decision.status != PlanStatus::kOk) return decision;
  const std::span<Score> scores = outputs.scores.first(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) scores[i] = score(candidates[i], link, caps);
  const std::size_t front_size = pareto_front(candidates, scores, outputs.front);
  const std::span<const CandidateIndex> front = outputs.front.first(front_size);
  decision = choose(candidates, scores, front, request);
  report_front(scores, front, decision);
  return decision;
}

}  // namespace cleave::planner
