// SPDX-License-Identifier: Apache-2.0
#include "planner/hysteresis.h"

#include "planner/fixed_point.h"

namespace cleave::planner {

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
  if (proposed.latency_ns < held_ns) {
    const std::uint64_t saved_ns = saturating_mul(held_ns - proposed.latency_ns, requests);
    return saved_ns > rule_.switching_cost_ns;
  }
  const std::uint64_t share_ns = saturating_muldiv_up(rule_.switching_cost_ns, 1, requests);
  return saturating_add(proposed.latency_ns, share_ns) <= proposed.budget_ns;
}

}  // namespace cleave::planner
