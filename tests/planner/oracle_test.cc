// SPDX-License-Identifier: Apache-2.0
//
// plan() equals an exhaustive oracle on random instances: 100,000, or as many as the environment
// variable CLEAVE_PLANNER_INSTANCES says.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "planner/epsilon_constraint.h"
#include "tests/planner/oracle.h"
#include "tests/planner/planner_fixture.h"
#include "tests/planner/random_instance.h"

namespace cleave::planner {
namespace {

using namespace testing;

std::uint64_t instance_count() {
  const char* given = std::getenv("CLEAVE_PLANNER_INSTANCES");
  return given == nullptr ? 100'000 : std::strtoull(given, nullptr, 10);
}

void check_scores(const Oracle& oracle, const Planned& planned) {
  for (std::size_t n = 0; n < planned.scores.size(); ++n) {
    const Oracle::Expected& expected = oracle.expected()[n];
    const Score& actual = planned.scores[n];
    const bool same = actual.latency_ns == expected.latency_ns &&
                      actual.memory_bytes == expected.memory_bytes &&
                      actual.broken == expected.broken && actual.on_front == expected.on_front;
    if (same)
      continue;  // an assertion for each field of each candidate would take most of the time
    CAPTURE(n);
    CHECK(actual.latency_ns == expected.latency_ns);
    CHECK(actual.memory_bytes == expected.memory_bytes);
    CHECK(unsigned{actual.broken} == expected.broken);
    REQUIRE(actual.on_front == expected.on_front);
    FAIL("scores differ");
  }
}

void check_front(const Oracle& oracle, const Planned& planned) {
  std::vector<CandidateIndex> front;
  for (std::size_t n = 0; n < oracle.expected().size(); ++n) {
    if (oracle.expected()[n].on_front) front.push_back(static_cast<CandidateIndex>(n));
  }
  std::sort(front.begin(), front.end(), [&](CandidateIndex a, CandidateIndex b) {
    return oracle.expected()[a].latency_ns < oracle.expected()[b].latency_ns;
  });
  REQUIRE(std::equal(front.begin(), front.end(), planned.front().begin(), planned.front().end()));
  if (front.empty()) return;
  const Oracle::Expected& fastest = oracle.expected()[front.front()];
  const Oracle::Expected& deepest = oracle.expected()[front.back()];
  REQUIRE(planned.decision.ideal.latency_ns == fastest.latency_ns);
  REQUIRE(planned.decision.ideal.memory_bytes == deepest.memory_bytes);
  REQUIRE(planned.decision.nadir.latency_ns == deepest.latency_ns);
  REQUIRE(planned.decision.nadir.memory_bytes == fastest.memory_bytes);
}

// The literal enumeration finds the same front, from either end.
void check_enumeration(const Instance& instance, const Planned& planned) {
  std::vector<CandidateIndex> solutions(instance.candidates.size());
  const auto enumerate = [&](Objective constrained) {
    const EpsilonFront front =
        enumerate_front(instance.candidates, planned.scores, constrained, solutions);
    REQUIRE(front.best == (front.size == 0 ? kNoCandidate : solutions[0]));
    return std::span(solutions).first(front.size);
  };
  const auto front = planned.front();
  const auto up = enumerate(Objective::kEdgeMemory);
  REQUIRE(std::equal(up.begin(), up.end(), front.begin(), front.end()));
  const auto down = enumerate(Objective::kLatency);
  REQUIRE(std::equal(down.rbegin(), down.rend(), front.begin(), front.end()));
}

void check_choice(const Oracle& oracle, const Planned& planned, const Request& request) {
  const Decision& d = planned.decision;
  const int expected = oracle.choice(request);
  if (expected < 0) {
    const auto [any, broken] = oracle.why_nothing(request.policy);
    REQUIRE(d.status == (any ? PlanStatus::kInfeasible : PlanStatus::kNoCandidates));
    REQUIRE(d.index == kNoCandidate);
    REQUIRE(d.broken == broken);
    return;
  }
  REQUIRE(d.status == PlanStatus::kOk);
  if (request.policy == Policy::kRandom) {
    REQUIRE(oracle.expected()[d.index].feasible);
  } else {
    REQUIRE(d.index == expected);
  }
  REQUIRE(d.latency_ns == oracle.expected()[d.index].latency_ns);
  REQUIRE(d.memory_bytes == oracle.expected()[d.index].memory_bytes);
}

void check_instance(const Instance& instance) {
  const Oracle oracle(instance.candidates, instance.link, instance.caps);
  const Planned planned(instance.candidates, instance.link, instance.caps, instance.request);
  check_scores(oracle, planned);
  check_front(oracle, planned);
  check_enumeration(instance, planned);
  check_choice(oracle, planned, instance.request);
  for (const Policy policy :
       {Policy::kLatencyOnly, Policy::kEdgeOnly, Policy::kServerOnly, Policy::kRandom}) {
    Request request = instance.request;
    request.policy = policy;
    const Planned baseline(instance.candidates, instance.link, instance.caps, request);
    check_choice(oracle, baseline, request);
  }
}

TEST_CASE("plan() equals the exhaustive oracle on random instances") {
  const std::uint64_t count = instance_count();
  REQUIRE(count > 0);
  InstanceSource source(20210719);
  std::uint64_t feasible = 0;
  std::uint64_t with_front = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    CAPTURE(i);
    const Instance instance = source.next(i % 1000 == 0 ? 264 : 24);
    check_instance(instance);
    const Planned p(instance.candidates, instance.link, instance.caps, instance.request);
    feasible += p.decision.status == PlanStatus::kOk ? 1 : 0;
    with_front += p.decision.front_size > 1 ? 1 : 0;
  }
  MESSAGE(count << " instances, " << feasible << " feasible, " << with_front
                << " with a front of several points");
  // The instances are only worth something while they stay varied.
  CHECK(feasible > count / 2);
  CHECK(feasible < count);
  CHECK(with_front > count / 4);
}

TEST_CASE("plan() equals the oracle on a table of the largest size") {
  InstanceSource source(7);
  Instance instance = source.next(kMaxCandidates);
  while (instance.candidates.size() < kMaxCandidates) {
    const Instance more = source.next(kMaxCandidates - instance.candidates.size());
    instance.candidates.insert(instance.candidates.end(), more.candidates.begin(),
                               more.candidates.end());
  }
  instance.link = link_of(10'000'000);
  instance.caps = {};
  check_instance(instance);
}

}  // namespace
}  // namespace cleave::planner
