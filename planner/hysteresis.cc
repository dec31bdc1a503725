// SPDX-License-Identifier: Apache-2.0
#include "planner/hysteresis.h"

#include "planner/fixed_point.h"
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

// Whether `next` is better than `held` in what is optimized, by more than the share of `held` that
// is worth a switch. A gain in latency is judged by itself, in requests and the switching cost.
bool gains(const Decision& proposed, const Score& held, const Score& next) {
  const Objective objective = proposed.objectives.optimized;
  if (objective == Objective::kLatency || proposed.reason == Reason::kLeastLatency) return false;
  const Minimized g(objective);
  const std::uint64_t held_amount = g.turn(g(held));
  return saturating_sub(g(held), g(next)) > held_amount / Hysteresis::kLeastGain;
}

}  // namespace

CandidateIndex Hysteresis::settle(const Decision& proposed, std::span<const Score> scores,
                                  std::uint64_t now_ns) {
  const bool holds = held_ < scores.size() && scores[held_].broken == kBoundNone;
  if (holds && !worth_a_switch(proposed, scores, now_ns)) return held_;
  held_ = proposed.index;
  held_since_ns_ = now_ns;
  return held_;
}

bool Hysteresis::worth_a_switch(const Decision& proposed, std::span<const Score> scores,
                                std::uint64_t now_ns) const {
  if (proposed.status != PlanStatus::kOk || proposed.index == held_) return false;
  if (saturating_sub(now_ns, held_since_ns_) < rule_.dwell_ns) return false;
  const std::uint64_t requests = rule_.requests_per_switch == 0 ? 1 : rule_.requests_per_switch;
  const std::uint64_t held_ns = scores[held_].latency_ns;
  const std::uint64_t proposed_ns = proposed.chosen.latency_ns;
  const bool gain = gains(proposed, scores[held_], scores[proposed.index]);
  if (proposed_ns < held_ns) {
    const std::uint64_t saved_ns = saturating_mul(held_ns - proposed_ns, requests);
    return gain || saved_ns > rule_.switching_cost_ns;
  }
  const ObjectivePair& pair = proposed.objectives;
  const bool bounds_latency =
      pair.constrained == Objective::kLatency && proposed.budget != kSaturated;
  if (bounds_latency) {
    const std::uint64_t share_ns = saturating_muldiv_up(rule_.switching_cost_ns, 1, requests);
    if (saturating_add(proposed_ns, share_ns) > proposed.budget) return false;
    if (pair.optimized == Objective::kEdgeMemory) return true;
  }
  // The fastest within another bound is proposed for that bound: what is held may be beyond it.
  return gain || pair.optimized == Objective::kLatency;
}

}  // namespace cleave::planner
