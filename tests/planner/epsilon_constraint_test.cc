// SPDX-License-Identifier: Apache-2.0
//
// Algorithm 1 of the LMOS paper, literally, on tables that can be followed by hand.
#include "planner/epsilon_constraint.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "planner/pareto.h"
#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;
using Indices = std::vector<CandidateIndex>;

// Latency and edge memory, either one constrained.
ObjectivePair pair_of(Objective constrained) {
  return {.optimized =
              constrained == Objective::kLatency ? Objective::kEdgeMemory : Objective::kLatency,
          .constrained = constrained};
}

struct Scored {
  explicit Scored(std::vector<Candidate> c, const Link& link = {}, const Caps& caps = {})
      : candidates(std::move(c)) {
    for (const Candidate& candidate : candidates) {
      scores.push_back(score(candidate, conditions_of(link, caps)));
    }
  }
  CandidateIndex solve(Objective constrained, std::uint64_t epsilon) const {
    return solve_epsilon(candidates, scores, pair_of(constrained), epsilon);
  }
  Indices enumerate(Objective constrained) { return enumerate(pair_of(constrained)); }
  Indices enumerate(const ObjectivePair& objectives) {
    Indices solutions(candidates.size());
    front = enumerate_front(candidates, scores, objectives, solutions);
    solutions.resize(front.size);
    return solutions;
  }
  std::vector<Candidate> candidates;
  std::vector<Score> scores;
  EpsilonFront front;
};

// (latency, memory): 1 and 3 are dominated, 4 ties with 2 in memory and is slower.
Scored example() {
  return Scored({edge_candidate(0, 10, 0), edge_candidate(1, 30, 5), edge_candidate(2, 25, 8),
                 edge_candidate(3, 60, 7), edge_candidate(4, 40, 8), edge_candidate(5, 50, 9)});
}

TEST_CASE("one subproblem: the deepest that keeps the latency bound, then the fastest") {
  const Scored s = example();
  CHECK(s.solve(Objective::kLatency, 9) == kNoCandidate);
  CHECK(s.solve(Objective::kLatency, 10) == 0);
  CHECK(s.solve(Objective::kLatency, 24) == 0);
  CHECK(s.solve(Objective::kLatency, 25) == 2);
  CHECK(s.solve(Objective::kLatency, 49) == 2);  // 4 is as deep but slower
  CHECK(s.solve(Objective::kLatency, 50) == 5);
  CHECK(s.solve(Objective::kLatency, kMax) == 5);
}

TEST_CASE("one subproblem with memory bounded: the fastest that is deep enough") {
  const Scored s = example();
  const auto at_least = [](std::uint64_t bytes) { return ~bytes; };
  CHECK(s.solve(Objective::kEdgeMemory, at_least(0)) == 0);
  CHECK(s.solve(Objective::kEdgeMemory, at_least(1)) == 2);
  CHECK(s.solve(Objective::kEdgeMemory, at_least(8)) == 2);
  CHECK(s.solve(Objective::kEdgeMemory, at_least(9)) == 5);
  CHECK(s.solve(Objective::kEdgeMemory, at_least(10)) == kNoCandidate);
}

TEST_CASE("i = 2, j = 1: from nadir_1 down to ideal_1, the best in f2 first") {
  Scored s = example();
  CHECK(s.enumerate(Objective::kLatency) == Indices{5, 2, 0});
  CHECK(s.front.best == 5);
  CHECK(s.front.first_epsilon == 50);
}

TEST_CASE("i = 1, j = 2: the same front from its other end, the best in f1 first") {
  Scored s = example();
  CHECK(s.enumerate(Objective::kEdgeMemory) == Indices{0, 2, 5});
  CHECK(s.front.best == 0);
  CHECK(s.front.first_epsilon == ~std::uint64_t{0});
}

TEST_CASE("energy against cost: the same algorithm") {
  Scored s({edge_candidate(0, 1, 0), edge_candidate(1, 1, 0), edge_candidate(2, 1, 0),
            edge_candidate(3, 1, 0)});
  const std::pair<std::uint64_t, std::uint64_t> energy_and_cost[] = {
      {9, 0}, {5, 3}, {6, 3}, {2, 8}};
  for (std::size_t n = 0; n < 4; ++n) {
    s.scores[n].energy_uj = energy_and_cost[n].first;
    s.scores[n].cost_ueur = energy_and_cost[n].second;
  }
  CHECK(s.enumerate({Objective::kEnergy, Objective::kCost}) == Indices{3, 1, 0});
  CHECK(s.front.best == 3);
  CHECK(s.front.first_epsilon == 8);
  CHECK(s.enumerate({Objective::kCost, Objective::kEnergy}) == Indices{0, 1, 3});
}

TEST_CASE("no feasible candidate gives no solution") {
  Scored s({edge_candidate(0, 10, 5)}, {}, {.ram_bytes = 4});
  CHECK(s.enumerate(Objective::kLatency).empty());
  CHECK(s.front.best == kNoCandidate);
}

TEST_CASE("extreme values: zero and saturated latencies and memories end the enumeration") {
  Scored s({edge_candidate(0, 0, 0), edge_candidate(1, kMax, kMax), edge_candidate(2, kMax, 1),
            edge_candidate(3, 0, 0), edge_candidate(4, kMax - 1, kMax - 1)});
  CHECK(s.enumerate(Objective::kLatency) == Indices{1, 4, 0});
  CHECK(s.enumerate(Objective::kEdgeMemory) == Indices{0, 4, 1});
}

// design: "Ranked by f2 alone the literal algorithm returns the deepest feasible non-dominated
// split whatever the bandwidth".
TEST_CASE("ranked by f2 the literal algorithm ignores the bandwidth") {
  for (const std::uint64_t ram : {kMax, std::uint64_t{39'999'999}, std::uint64_t{29'999'999}}) {
    const Caps caps{.ram_bytes = ram};
    const CandidateIndex deepest = ram == kMax ? 3 : ram == 39'999'999 ? 2 : 1;
    for (const std::uint64_t mbit : {1, 5, 10, 50, 100, 200}) {
      CAPTURE(mbit);
      Scored s(paper_candidates(), link_of(mbit * 1'000'000), caps);
      const Indices solutions = s.enumerate(Objective::kLatency);
      CHECK(s.front.best == deepest);
      for (const Score& other : s.scores) {
        if (other.broken == kBoundNone) CHECK_FALSE(dominates(other, s.scores[deepest]));
      }
    }
  }
}

TEST_CASE("the solutions are the Pareto front, and step 6 finds nothing to drop") {
  for (const std::uint64_t mbit : {1, 2, 5, 10, 20, 200}) {
    CAPTURE(mbit);
    Scored s(paper_candidates(), link_of(mbit * 1'000'000));
    Indices solutions = s.enumerate(Objective::kLatency);
    for (const CandidateIndex a : solutions) {
      for (const CandidateIndex b : solutions) CHECK_FALSE(dominates(s.scores[a], s.scores[b]));
    }
    Indices front(s.candidates.size());
    front.resize(pareto_front(s.candidates, s.scores, {}, front));
    std::reverse(solutions.begin(), solutions.end());
    CHECK(solutions == front);
  }
}

}  // namespace
}  // namespace cleave::planner
