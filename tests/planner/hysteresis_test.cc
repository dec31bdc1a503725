// SPDX-License-Identifier: Apache-2.0
#include "planner/hysteresis.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

// Candidates with these latencies, all feasible.
std::vector<Score> latencies(const std::vector<std::uint64_t>& ns) {
  std::vector<Score> scores;
  for (const std::uint64_t n : ns) scores.push_back({.latency_ns = n});
  return scores;
}

Decision propose(CandidateIndex index, const std::vector<Score>& scores,
                 std::uint64_t budget_ns = kMax) {
  Decision d;
  d.status = PlanStatus::kOk;
  d.index = index;
  d.chosen.latency_ns = scores[index].latency_ns;
  d.budget = budget_ns;
  return d;
}

constexpr SwitchRule kRule{.dwell_ns = 1000, .switching_cost_ns = 300, .requests_per_switch = 10};

TEST_CASE("the first proposal is taken, and kept while it is proposed") {
  Hysteresis h(kRule);
  const auto scores = latencies({100, 90});
  CHECK(h.settle(propose(0, scores), scores, 5) == 0);
  CHECK(h.settle(propose(0, scores), scores, 5000) == 0);
  // Being proposed again did not restart the dwell time.
  CHECK(h.settle(propose(1, latencies({100, 10})), latencies({100, 10}), 5001) == 1);
}

TEST_CASE("nothing changes before the dwell time, whatever the gain") {
  Hysteresis h(kRule);
  const auto scores = latencies({1'000'000, 1});
  h.settle(propose(0, scores), scores, 5000);
  CHECK(h.settle(propose(1, scores), scores, 5999) == 0);
  CHECK(h.settle(propose(1, scores), scores, 6000) == 1);
  CHECK(h.settle(propose(0, scores), scores, 6999) == 1);
}

TEST_CASE("a clock that steps back counts as no time passed") {
  Hysteresis h(kRule);
  const auto scores = latencies({1'000'000, 1});
  h.settle(propose(0, scores), scores, 5000);
  CHECK(h.settle(propose(1, scores), scores, 10) == 0);
}

TEST_CASE("a faster split must earn the switching cost within the requests that share it") {
  Hysteresis h(kRule);
  const auto equal = latencies({100, 70});  // saves 30 x 10 = the cost
  h.settle(propose(0, equal), equal, 0);
  CHECK(h.settle(propose(1, equal), equal, 2000) == 0);
  const auto more = latencies({100, 69});
  CHECK(h.settle(propose(1, more), more, 2000) == 1);
}

TEST_CASE("a deeper split must stay in the budget with its share of the switching cost") {
  Hysteresis h(kRule);
  const auto scores = latencies({100, 120});
  h.settle(propose(0, scores), scores, 0);
  CHECK(h.settle(propose(1, scores, 149), scores, 2000) == 0);
  CHECK(h.settle(propose(1, scores, 150), scores, 2000) == 1);
}

TEST_CASE("a rule of no requests per switch counts as one") {
  Hysteresis h({.dwell_ns = 0, .switching_cost_ns = 10, .requests_per_switch = 0});
  const auto scores = latencies({100, 80, 85});
  h.settle(propose(0, scores), scores, 0);
  CHECK(h.settle(propose(1, scores), scores, 0) == 1);
  CHECK(h.settle(propose(2, scores, 95), scores, 0) == 2);
}

TEST_CASE("an infeasible choice is left at once") {
  Hysteresis h(kRule);
  auto scores = latencies({100, 5000});
  h.settle(propose(0, scores), scores, 0);
  scores[0].broken = kBoundServerAbsent;
  CHECK(h.settle(propose(1, scores, 0), scores, 1) == 1);
  // The forced switch starts a dwell time of its own.
  scores[0].broken = kBoundNone;
  CHECK(h.settle(propose(0, scores), scores, 1000) == 1);
  CHECK(h.settle(propose(0, scores), scores, 1001) == 0);
}

TEST_CASE("no proposal: a feasible choice stays, an infeasible one goes") {
  Hysteresis h(kRule);
  auto scores = latencies({100});
  Decision none;
  none.status = PlanStatus::kInfeasible;
  CHECK(h.settle(none, scores, 0) == kNoCandidate);
  h.settle(propose(0, scores), scores, 0);
  CHECK(h.settle(none, scores, 9000) == 0);
  scores[0].broken = kBoundRam;
  CHECK(h.settle(none, scores, 9000) == kNoCandidate);
}

TEST_CASE("a choice beyond a shorter table is no choice") {
  Hysteresis h(kRule);
  const auto scores = latencies({100, 90});
  h.settle(propose(1, scores), scores, 0);
  const auto shorter = latencies({100});
  CHECK(h.settle(propose(0, shorter), shorter, 1) == 0);
}

TEST_CASE("reset takes the next proposal at once") {
  Hysteresis h(kRule);
  const auto scores = latencies({100, 99});
  h.settle(propose(0, scores), scores, 0);
  h.reset();
  CHECK(h.settle(propose(1, scores), scores, 1) == 1);
}

TEST_CASE("an estimate that jitters around the break-even does not flap") {
  Hysteresis h(kRule);
  int switches = 0;
  CandidateIndex last = kNoCandidate;
  for (std::uint64_t t = 0; t < 100; ++t) {
    const auto scores = latencies({100, t % 2 == 0 ? 95u : 105u});
    const CandidateIndex best = scores[1].latency_ns < 100 ? 1 : 0;
    const CandidateIndex used = h.settle(propose(best, scores, 100), scores, t * 500);
    switches += used != last ? 1 : 0;
    last = used;
  }
  CHECK(switches == 1);
}

TEST_CASE("extremes saturate: nothing wraps into a switch or out of one") {
  Hysteresis h({.dwell_ns = 0, .switching_cost_ns = kMax, .requests_per_switch = 0});
  const auto scores = latencies({kMax, 0});
  h.settle(propose(0, scores), scores, 0);
  CHECK(h.settle(propose(1, scores), scores, kMax) == 0);  // saves kMax, costs kMax
  Hysteresis cheap({.dwell_ns = 0, .switching_cost_ns = kMax - 1, .requests_per_switch = 1000});
  cheap.settle(propose(0, scores), scores, 0);
  CHECK(cheap.settle(propose(1, scores), scores, 0) == 1);
}

TEST_CASE("a bound on another objective is not taken for one on the latency") {
  auto scores = latencies({100, 200});
  scores[0].energy_uj = 1000;
  scores[1].energy_uj = 10;
  Hysteresis h(kRule);
  CHECK(h.settle(propose(0, scores), scores, 0) == 0);
  Decision slower = propose(1, scores, 50);  // 50 ns: too slow
  slower.objectives = {.optimized = Objective::kEnergy, .constrained = Objective::kLatency};
  CHECK(h.settle(slower, scores, 2000) == 0);
  slower.objectives.constrained = Objective::kCost;
  CHECK(h.settle(slower, scores, 2000) == 1);  // 50 micro-euro
}

// Two candidates with these latencies that have `amounts` of `objective`.
std::vector<Score> two(const std::vector<std::uint64_t>& ns, Objective objective,
                       const std::vector<std::uint64_t>& amounts) {
  std::vector<Score> scores = latencies(ns);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    (objective == Objective::kEnergy ? scores[i].energy_uj
     : objective == Objective::kCost ? scores[i].cost_ueur
                                     : scores[i].memory_bytes) = amounts[i];
  }
  return scores;
}

// What is used after 0 was held for longer than the dwell time and 1 is proposed.
CandidateIndex used(const std::vector<Score>& scores, Objective objective, std::uint64_t budget,
                    Reason reason = Reason::kBestWithinBudget) {
  Hysteresis h(kRule);
  h.settle(propose(0, scores), scores, 0);
  Decision proposed = propose(1, scores, budget);
  proposed.objectives = {.optimized = objective, .constrained = Objective::kLatency};
  proposed.reason = reason;
  CHECK(h.settle(proposed, scores, 999) == 0);
  return h.settle(proposed, scores, 1000);
}

TEST_CASE("a slower split must gain a share of the energy or the cost, with a budget and without") {
  for (const Objective objective : {Objective::kEnergy, Objective::kCost}) {
    for (const std::uint64_t budget : {std::uint64_t{1000}, kMax}) {
      CHECK(used(two({100, 120}, objective, {3200, 3100}), objective, budget) == 0);  // 1/32
      CHECK(used(two({100, 120}, objective, {3200, 3099}), objective, budget) == 1);
      CHECK(used(two({100, 120}, objective, {3200, 3300}), objective, budget) == 0);
      CHECK(used(two({100, 100}, objective, {3200, 3200}), objective, budget) == 0);
    }
    // However much it gains, it stays within the budget.
    CHECK(used(two({100, 120}, objective, {3200, 1}), objective, 149) == 0);
  }
}

TEST_CASE("a split that is faster by too little is taken for what else it gains") {
  for (const Objective objective : {Objective::kEnergy, Objective::kCost}) {
    CHECK(used(two({100, 99}, objective, {3200, 3099}), objective, 1000) == 1);
    CHECK(used(two({100, 99}, objective, {3200, 3100}), objective, 1000) == 0);
    CHECK(used(two({100, 99}, objective, {3200, 9999}), objective, 1000) == 0);
    CHECK(used(two({100, 60}, objective, {3200, 9999}), objective, 1000) == 1);  // much faster
  }
  const auto deeper = two({100, 99}, Objective::kEdgeMemory, {3200, 3301});
  CHECK(used(deeper, Objective::kEdgeMemory, 1000) == 1);
  // A policy that asks for the least latency alone does not look at the memory.
  CHECK(used(deeper, Objective::kEdgeMemory, 0, Reason::kLeastLatency) == 0);
}

TEST_CASE("a knee that wanders between two points of like memory stays") {
  CHECK(used(two({100, 120}, Objective::kEdgeMemory, {3200, 3300}), Objective::kEdgeMemory, kMax) ==
        0);
  CHECK(used(two({100, 120}, Objective::kEdgeMemory, {3200, 3301}), Objective::kEdgeMemory, kMax) ==
        1);
  // Within a budget any deeper split will do.
  CHECK(used(two({100, 120}, Objective::kEdgeMemory, {3200, 3201}), Objective::kEdgeMemory, 1000) ==
        1);
  Hysteresis h(kRule);
  int switches = 0;
  CandidateIndex last = 0;
  for (std::uint64_t t = 0; t < 100; ++t) {
    const bool odd = t % 2 == 1;
    const auto scores =
        two({100, 120}, Objective::kEnergy, {1000, odd ? std::uint64_t{990} : 1010});
    Decision knee = propose(odd ? 1 : 0, scores);
    knee.objectives.optimized = Objective::kEnergy;
    const CandidateIndex now = h.settle(knee, scores, t * 5000);
    switches += now != last ? 1 : 0;
    last = now;
  }
  CHECK(switches == 0);
}

TEST_CASE("gains at the extremes neither wrap nor divide into nothing") {
  CHECK(used(two({100, 120}, Objective::kEnergy, {kMax, 0}), Objective::kEnergy, kMax) == 1);
  CHECK(used(two({100, 120}, Objective::kEnergy, {0, kMax}), Objective::kEnergy, kMax) == 0);
  CHECK(used(two({100, 120}, Objective::kEnergy, {0, 0}), Objective::kEnergy, kMax) == 0);
  CHECK(used(two({100, 120}, Objective::kEdgeMemory, {0, kMax}), Objective::kEdgeMemory, kMax) ==
        1);
  CHECK(used(two({100, 120}, Objective::kEdgeMemory, {kMax, 0}), Objective::kEdgeMemory, kMax) ==
        0);
}

}  // namespace
}  // namespace cleave::planner
