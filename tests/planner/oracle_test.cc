// SPDX-License-Identifier: Apache-2.0
//
// plan() equals an exhaustive oracle on random instances: 100,000, or as many as the environment
// variable CLEAVE_PLANNER_INSTANCES says.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
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
    const bool same =
        actual.latency_ns == expected.latency_ns && actual.memory_bytes == expected.memory_bytes &&
        actual.energy_uj == expected.energy_uj && actual.cost_ueur == expected.cost_ueur &&
        actual.tx_ns == expected.tx_ns && actual.broken == expected.broken;
    if (same) continue;  // an assertion for each field of each candidate would take all the time
    CAPTURE(n);
    CHECK(actual.latency_ns == expected.latency_ns);
    CHECK(actual.memory_bytes == expected.memory_bytes);
    CHECK(actual.energy_uj == expected.energy_uj);
    CHECK(actual.cost_ueur == expected.cost_ueur);
    CHECK(actual.tx_ns == expected.tx_ns);
    CHECK(unsigned{actual.broken} == expected.broken);
    FAIL("scores differ");
  }
}

std::uint64_t value_of(const ObjectivePoint& point, Objective objective) {
  if (objective == Objective::kLatency) return point.latency_ns;
  if (objective == Objective::kEdgeMemory) return point.memory_bytes;
  return objective == Objective::kEnergy ? point.energy_uj : point.cost_ueur;
}

void check_ends(const Oracle& oracle, const Planned& planned, Objective objective,
                CandidateIndex best, CandidateIndex worst) {
  REQUIRE(value_of(planned.decision.ideal, objective) == oracle.value(best, objective));
  REQUIRE(value_of(planned.decision.nadir, objective) == oracle.value(worst, objective));
}

void check_front(const Oracle& oracle, const Planned& planned, const ObjectivePair& objectives) {
  const std::vector<CandidateIndex> front = oracle.front(objectives);
  REQUIRE(std::equal(front.begin(), front.end(), planned.front().begin(), planned.front().end()));
  std::size_t marked = 0;
  for (const Score& s : planned.scores) marked += s.on_front ? 1 : 0;
  REQUIRE(marked == front.size());
  for (const CandidateIndex index : front) REQUIRE(planned.scores[index].on_front);
  if (front.empty()) return;
  check_ends(oracle, planned, objectives.optimized, front.back(), front.front());
  check_ends(oracle, planned, objectives.constrained, front.front(), front.back());
}

// The literal enumeration finds the same front, from either end.
void check_enumeration(const Instance& instance, const Planned& planned) {
  std::array<CandidateIndex, 512> small;
  std::vector<CandidateIndex> large;
  std::span<CandidateIndex> solutions = small;
  if (instance.candidates.size() > small.size()) {
    large.resize(instance.candidates.size());
    solutions = large;
  }
  const auto enumerate = [&](const ObjectivePair& objectives) {
    const EpsilonFront front =
        enumerate_front(instance.candidates, planned.scores, objectives, solutions);
    REQUIRE(front.best == (front.size == 0 ? kNoCandidate : solutions[0]));
    return solutions.first(front.size);
  };
  const auto front = planned.front();
  const auto& [i, j] = instance.request.objectives;
  const auto up = enumerate({.optimized = j, .constrained = i});
  REQUIRE(std::equal(up.begin(), up.end(), front.begin(), front.end()));
  const auto down = enumerate({.optimized = i, .constrained = j});
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
    REQUIRE(oracle.expected()[d.index].broken == 0);
  } else {
    REQUIRE(d.index == expected);
  }
  for (const Objective o :
       {Objective::kLatency, Objective::kEdgeMemory, Objective::kEnergy, Objective::kCost}) {
    if (value_of(d.chosen, o) != oracle.value(d.index, o)) FAIL("predicted otherwise");
  }
}

// Of the baselines only the one that is named; all when it is LMOS. Returns the LMOS plan.
Planned check_instance(const Instance& instance, Policy baseline) {
  const Oracle oracle(instance.candidates, instance.conditions);
  Planned planned(instance.candidates, instance.conditions, instance.request);
  check_scores(oracle, planned);
  check_front(oracle, planned, instance.request.objectives);
  check_enumeration(instance, planned);
  check_choice(oracle, planned, instance.request);
  for (const Policy policy : kAllPolicies) {
    if (policy == Policy::kLmos || (baseline != Policy::kLmos && policy != baseline)) continue;
    Request request = instance.request;
    request.policy = policy;
    check_choice(oracle, Planned(instance.candidates, instance.conditions, request), request);
  }
  return planned;
}

// How often each kind of instance came: they are only worth something while they stay varied.
struct Tally {
  std::uint64_t feasible = 0;
  std::array<std::array<std::uint64_t, 5>, 5> fronts{};  // of several points, by objectives i, j
  std::array<std::uint64_t, 9> only_bound{};             // infeasible by this bound alone

  void add(const Instance& instance, const Planned& p) {
    feasible += p.decision.status == PlanStatus::kOk ? 1 : 0;
    const auto& [i, j] = instance.request.objectives;
    if (p.decision.front_size > 1) {
      ++fronts[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
    }
    for (std::size_t bit = 0; bit < only_bound.size(); ++bit) {
      only_bound[bit] += p.decision.broken == 1u << bit ? 1 : 0;
    }
  }

  void check(std::uint64_t count) const {
    CHECK(feasible > count / 3);
    CHECK(feasible < count);
    for (std::size_t i = 1; i <= 4; ++i) {
      for (std::size_t j = 1; j <= 4; ++j) {
        CAPTURE(i);
        CAPTURE(j);
        CHECK(fronts[i][j] >= (i == j ? 0 : count / 300));
      }
    }
    for (const std::uint64_t times : only_bound) CHECK(times > 0);
  }
};

TEST_CASE("plan() equals the exhaustive oracle on random instances") {
  const std::uint64_t count = instance_count();
  REQUIRE(count >= 1000);
  InstanceSource source(20210719);
  std::vector<Candidate> room(264);
  Tally tally;
  for (std::uint64_t i = 0; i < count; ++i) {
    CAPTURE(i);
    const Instance instance = source.next(std::span(room).first(i % 1000 == 0 ? 264 : 18));
    tally.add(instance, check_instance(instance, kAllPolicies[i % std::size(kAllPolicies)]));
  }
  std::uint64_t least = count;
  for (std::size_t i = 1; i <= 4; ++i) {
    for (std::size_t j = 1; j <= 4; ++j) {
      if (i != j) least = std::min(least, tally.fronts[i][j]);
    }
  }
  MESSAGE(count << " instances, " << tally.feasible << " feasible; of each two objectives at least "
                << least << " fronts of several points");
  tally.check(count);
}

TEST_CASE("plan() equals the oracle on a table of the largest size") {
  InstanceSource source(7);
  std::vector<Candidate> candidates(kMaxCandidates);
  std::size_t filled = 0;
  while (filled < kMaxCandidates) {
    filled += source.next(std::span(candidates).subspan(filled)).candidates.size();
  }
  Conditions conditions;
  conditions.link = link_of(10'000'000);
  conditions.caps.disagreement_ppm = 1;
  conditions.energy = {.compute_uw = 4'000'000, .radio_pj_per_byte = 600'000, .idle_uw = 1'500'000};
  conditions.prices.server_ueur_per_hour = 11'600;
  conditions.prices.energy_ueur_per_kwh = 200'000;
  for (const ObjectivePair& objectives :
       {ObjectivePair{}, ObjectivePair{Objective::kEnergy, Objective::kCost}}) {
    check_instance({candidates, conditions, {.objectives = objectives}}, Policy::kLmos);
  }
}

}  // namespace
}  // namespace cleave::planner
