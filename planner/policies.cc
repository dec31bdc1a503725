// SPDX-License-Identifier: Apache-2.0
#include "planner/policies.h"

#include "planner/epsilon_constraint.h"
#include "planner/fixed_point.h"
#include "planner/pareto.h"

namespace cleave::planner {
namespace {

Decision chosen(std::span<const Score> scores, CandidateIndex index, Reason reason) {
  Decision decision;
  decision.status = PlanStatus::kOk;
  decision.reason = reason;
  decision.index = index;
  decision.latency_ns = scores[index].latency_ns;
  decision.memory_bytes = scores[index].memory_bytes;
  return decision;
}

bool may_choose(Policy policy, const Candidate& candidate) {
  if (policy == Policy::kEdgeOnly) return !candidate.needs_server;
  if (policy == Policy::kServerOnly) return candidate.needs_server && candidate.split == 0;
  return true;
}

// Why nothing could be chosen: no such candidate at all, or the bounds they break.
Decision nothing(std::span<const Candidate> candidates, std::span<const Score> scores,
                 Policy policy) {
  Decision decision;
  decision.status = PlanStatus::kNoCandidates;
  unsigned broken = 0;
  for (std::size_t n = 0; n < candidates.size(); ++n) {
    if (!may_choose(policy, candidates[n])) continue;
    decision.status = PlanStatus::kInfeasible;
    broken |= scores[n].broken;
  }
  decision.broken = static_cast<std::uint8_t>(broken);
  return decision;
}

// Least latency among the feasible candidates that the policy allows; memory is no objective here,
// so ties in latency go by preferred() alone.
CandidateIndex fastest(std::span<const Candidate> candidates, std::span<const Score> scores,
                       Policy policy) {
  CandidateIndex best = kNoCandidate;
  for (std::size_t n = 0; n < candidates.size(); ++n) {
    if (scores[n].broken != kBoundNone || !may_choose(policy, candidates[n])) continue;
    if (best != kNoCandidate) {
      if (scores[n].latency_ns > scores[best].latency_ns) continue;
      const bool equal = scores[n].latency_ns == scores[best].latency_ns;
      if (equal && !preferred(candidates[n], candidates[best])) continue;
    }
    best = static_cast<CandidateIndex>(n);
  }
  return best;
}

CandidateIndex random_feasible(std::span<const Score> scores, std::uint64_t seed) {
  std::uint64_t feasible = 0;
  for (const Score& s : scores) feasible += s.broken == kBoundNone ? 1 : 0;
  if (feasible == 0) return kNoCandidate;
  std::uint64_t skip = SplitMix64(seed).below(feasible);
  std::size_t n = 0;
  while (scores[n].broken != kBoundNone || skip-- > 0) ++n;
  return static_cast<CandidateIndex>(n);
}

// Deepest with latency <= budget_ns, else the fast end of the front. REQUIRES: a front.
Decision choose_within(std::span<const Candidate> candidates, std::span<const Score> scores,
                       std::span<const CandidateIndex> front, std::uint64_t budget_ns) {
  const CandidateIndex deepest = solve_epsilon(candidates, scores, Objective::kLatency, budget_ns);
  Decision decision = deepest != kNoCandidate
                          ? chosen(scores, deepest, Reason::kDeepestWithinBudget)
                          : chosen(scores, front.front(), Reason::kNothingWithinBudget);
  decision.budget_ns = budget_ns;
  return decision;
}

// Step 7 of Algorithm 1 is its first solution: the rest of the enumeration is the front, which is
// at hand already.
Decision choose_literal(std::span<const Candidate> candidates, std::span<const Score> scores,
                        Objective constrained) {
  const CandidateIndex best = solve_epsilon(candidates, scores, constrained, kSaturated);
  Decision decision = chosen(scores, best, Reason::kLiteralRank);
  decision.budget_ns = kSaturated;
  return decision;
}

Decision choose_lmos(std::span<const Candidate> candidates, std::span<const Score> scores,
                     std::span<const CandidateIndex> front, const Request& request) {
  if (front.empty()) return nothing(candidates, scores, Policy::kLmos);
  if (request.rank == Rank::kLiteral) {
    return choose_literal(candidates, scores, request.constrained);
  }
  if (request.rank == Rank::kWithinBudget) {
    return choose_within(candidates, scores, front, request.latency_budget_ns);
  }
  const std::uint64_t budget_ns =
      saturating_muldiv_down(scores[front.front()].latency_ns, request.latency_factor.numerator,
                             request.latency_factor.denominator);
  return choose_within(candidates, scores, front, budget_ns);
}

Reason baseline_reason(Policy policy) {
  switch (policy) {
    case Policy::kLatencyOnly:
      return Reason::kLeastLatency;
    case Policy::kEdgeOnly:
      return Reason::kEdgeOnly;
    case Policy::kServerOnly:
      return Reason::kServerOnly;
    case Policy::kRandom:
      return Reason::kRandom;
    case Policy::kLmos:
      break;
  }
  return Reason::kNone;
}

}  // namespace

bool is_valid(const Request& request) {
  if (request.policy > Policy::kRandom || request.rank > Rank::kLiteral) return false;
  if (request.policy != Policy::kLmos) return true;
  if (request.rank == Rank::kLiteral) {
    return request.constrained == Objective::kLatency ||
           request.constrained == Objective::kEdgeMemory;
  }
  if (request.rank == Rank::kWithinBudget) return true;
  return request.latency_factor.denominator != 0 &&
         request.latency_factor.numerator >= request.latency_factor.denominator;
}

Decision choose(std::span<const Candidate> candidates, std::span<const Score> scores,
                std::span<const CandidateIndex> front, const Request& request) {
  if (request.policy == Policy::kLmos) return choose_lmos(candidates, scores, front, request);
  const CandidateIndex index = request.policy == Policy::kRandom
                                   ? random_feasible(scores, request.seed)
                                   : fastest(candidates, scores, request.policy);
  if (index == kNoCandidate) return nothing(candidates, scores, request.policy);
  return chosen(scores, index, baseline_reason(request.policy));
}

}  // namespace cleave::planner
