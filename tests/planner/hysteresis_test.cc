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
  d.latency_ns = scores[index].latency_ns;
  d.budget_ns = budget_ns;
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

}  // namespace
}  // namespace cleave::planner
