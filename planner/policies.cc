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
  const Score& s = scores[index];
  decision.chosen = {.latency_ns = s.latency_ns,
                     .memory_bytes = s.memory_bytes,
                     .energy_uj = s.energy_uj,
                     .cost_ueur = s.cost_ueur};
  return decision;
}

bool may_choose(Policy policy, const Candidate& candidate) {
  const bool server_only = candidate.needs_server && candidate.split == 0;
  switch (policy) {
    case Policy::kEdgeOnly:
      return !candidate.needs_server;
    case Policy::kServerOnly:
      return server_only;
    case Policy::kServerOnlyRaw:
      return server_only && !candidate.sends_jpeg;
    case Policy::kServerOnlyJpeg:
      return server_only && candidate.sends_jpeg;
    case Policy::kLmos:
    case Policy::kLatencyOnly:
    case Policy::kRandom:
      break;
  }
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
  decision.broken = static_cast<std::uint16_t>(broken);
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

// Best in f_i within the bound on f_j, else the end of the front that is best in f_j.
// REQUIRES: a front.
Decision choose_within(std::span<const Candidate> candidates, std::span<const Score> scores,
                       std::span<const CandidateIndex> front, const ObjectivePair& objectives,
                       std::uint64_t budget) {
  const std::uint64_t epsilon = Minimized(objectives.constrained).turn(budget);
  const CandidateIndex best = solve_epsilon(candidates, scores, objectives, epsilon);
  Decision decision = best != kNoCandidate
                          ? chosen(scores, best, Reason::kBestWithinBudget)
                          : chosen(scores, front.front(), Reason::kNothingWithinBudget);
  decision.budget = budget;
  return decision;
}

// Rounded so that the bound never loosens.
std::uint64_t budget_by_factor(const Score& best, const Request& request) {
  const Minimized g_j(request.objectives.constrained);
  const std::uint64_t value = g_j.turn(g_j(best));
  const Ratio& factor = request.factor;
  return request.objectives.constrained == Objective::kEdgeMemory
             ? saturating_muldiv_up(value, factor.denominator, factor.numerator)
             : saturating_muldiv_down(value, factor.numerator, factor.denominator);
}

// Step 7 of Algorithm 1 is its first solution: the rest of the enumeration is the front, which is
// at hand already.
Decision choose_literal(std::span<const Candidate> candidates, std::span<const Score> scores,
                        const ObjectivePair& objectives) {
  const CandidateIndex best = solve_epsilon(candidates, scores, objectives, kSaturated);
  Decision decision = chosen(scores, best, Reason::kLiteralRank);
  decision.budget = Minimized(objectives.constrained).turn(kSaturated);
  return decision;
}

Decision choose_lmos(std::span<const Candidate> candidates, std::span<const Score> scores,
                     std::span<const CandidateIndex> front, const Request& request) {
  if (front.empty()) return nothing(candidates, scores, Policy::kLmos);
  if (request.rank == Rank::kLiteral) {
    return choose_literal(candidates, scores, request.objectives);
  }
  const std::uint64_t budget = request.rank == Rank::kWithinBudget
                                   ? request.budget
                                   : budget_by_factor(scores[front.front()], request);
  return choose_within(candidates, scores, front, request.objectives, budget);
}

Reason baseline_reason(Policy policy) {
  switch (policy) {
    case Policy::kLatencyOnly:
      return Reason::kLeastLatency;
    case Policy::kEdgeOnly:
      return Reason::kEdgeOnly;
    case Policy::kServerOnly:
    case Policy::kServerOnlyRaw:
    case Policy::kServerOnlyJpeg:
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
  const auto known = [](Objective o) { return o >= Objective::kLatency && o <= Objective::kCost; };
  const auto& [optimized, constrained] = request.objectives;
  if (!known(optimized) || !known(constrained) || optimized == constrained) return false;
  if (request.policy != Policy::kLmos || request.rank != Rank::kWithinFactor) return true;
  return request.factor.denominator != 0 && request.factor.numerator >= request.factor.denominator;
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
