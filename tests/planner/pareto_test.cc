// SPDX-License-Identifier: Apache-2.0
#include "planner/pareto.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

// Front of candidates given as (latency, memory), numbered 0.. in that order.
std::vector<CandidateIndex> front_of(const std::vector<ObjectivePoint>& points) {
  std::vector<Candidate> candidates;
  std::vector<Score> scores;
  for (const ObjectivePoint& p : points) {
    const auto split = static_cast<std::uint16_t>(candidates.size());
    candidates.push_back(edge_candidate(split, p.latency_ns, p.memory_bytes));
    scores.push_back(score(candidates.back(), {}));
  }
  std::vector<CandidateIndex> front(points.size());
  front.resize(pareto_front(candidates, scores, {}, front));
  return front;
}

using Indices = std::vector<CandidateIndex>;

TEST_CASE("dominance needs one strictly better objective and none worse") {
  const auto at = [](std::uint64_t latency, std::uint64_t memory) {
    return Score{.latency_ns = latency, .memory_bytes = memory};
  };
  CHECK(dominates(at(1, 5), at(2, 5)));
  CHECK(dominates(at(1, 6), at(1, 5)));
  CHECK(dominates(at(1, 6), at(2, 5)));
  CHECK_FALSE(dominates(at(1, 5), at(1, 5)));
  CHECK_FALSE(dominates(at(1, 4), at(2, 5)));
  CHECK_FALSE(dominates(at(2, 6), at(1, 5)));
}

TEST_CASE("minimized memory orders as the negative would") {
  const Score none{.latency_ns = 7, .memory_bytes = 0};
  const Score all{.latency_ns = 7, .memory_bytes = kMax};
  const Minimized memory(Objective::kEdgeMemory);
  CHECK(memory(all) < memory(none));
  CHECK(memory.turn(memory(all)) == kMax);
  CHECK(Minimized(Objective::kLatency)(none) == 7);
}

TEST_CASE("the front ascends in latency and memory and leaves out what is dominated") {
  CHECK(front_of({}).empty());
  CHECK(front_of({{5, 5}}) == Indices{0});
  CHECK(front_of({{1, 1}, {2, 2}, {3, 3}}) == Indices{0, 1, 2});
  CHECK(front_of({{3, 3}, {2, 2}, {1, 1}}) == Indices{2, 1, 0});
  CHECK(front_of({{1, 3}, {2, 2}, {3, 1}}) == Indices{0});
  CHECK(front_of({{3, 1}, {2, 2}, {1, 3}}) == Indices{2});
  CHECK(front_of({{10, 10}, {20, 20}, {15, 5}, {12, 15}}) == Indices{0, 3, 1});
}

TEST_CASE("a late point replaces the whole run that it dominates") {
  CHECK(front_of({{1, 1}, {3, 3}, {4, 4}, {5, 5}, {9, 9}, {2, 5}}) == Indices{0, 5, 4});
  CHECK(front_of({{1, 1}, {3, 3}, {4, 4}, {5, 5}, {9, 9}, {1, 9}}) == Indices{5});
}

TEST_CASE("equal in one objective: only the better in the other stays") {
  CHECK(front_of({{2, 1}, {2, 3}, {2, 2}}) == Indices{1});
  CHECK(front_of({{2, 1}, {1, 1}, {3, 1}}) == Indices{1});
  CHECK(front_of({{1, 1}, {2, 2}, {2, 3}, {4, 4}}) == Indices{0, 2, 3});
}

TEST_CASE("of candidates at one point the preferred one stands for all") {
  std::vector<Candidate> c(5, split_candidate(4, 100, 9, 0, 50));
  std::vector<Score> scores(5, Score{.latency_ns = 100, .memory_bytes = 50});
  std::vector<CandidateIndex> front(5);
  const auto only = [&] {
    REQUIRE(pareto_front(c, scores, {}, front) == 1);
    return front[0];
  };
  CHECK(only() == 0);  // exact duplicates: the first
  c[3].codec = 0;
  c[0].codec = c[1].codec = c[2].codec = c[4].codec = 1;
  CHECK(only() == 3);
  c[0].variant = c[1].variant = c[3].variant = c[4].variant = 1;
  CHECK(only() == 2);
  c[1].disagreement_ppm = 6;
  c[0].disagreement_ppm = c[2].disagreement_ppm = c[3].disagreement_ppm = 7;
  c[4].disagreement_ppm = 7;
  CHECK(only() == 1);
  c[4].boundary_bytes = 8;
  CHECK(only() == 4);
  c[2].cut = 3;
  CHECK(only() == 2);
  c[0].split = 3;
  CHECK(only() == 0);
}

TEST_CASE("any two objectives have their front, from the best constrained to the best optimized") {
  // Each trades one unit of every smaller objective; memory grows with latency.
  std::vector<Candidate> c;
  std::vector<Score> scores;
  const auto add = [&](std::uint64_t latency, std::uint64_t memory, std::uint64_t energy,
                       std::uint64_t cost) {
    c.push_back(edge_candidate(static_cast<std::uint16_t>(c.size()), 0, 0));
    scores.push_back(
        {.latency_ns = latency, .memory_bytes = memory, .energy_uj = energy, .cost_ueur = cost});
  };
  add(1, 10, 30, 5);
  add(2, 20, 20, 5);
  add(3, 15, 10, 9);
  add(4, 30, 25, 0);
  const auto front = [&](Objective optimized, Objective constrained) {
    Indices found(c.size());
    found.resize(pareto_front(c, scores, {optimized, constrained}, found));
    return found;
  };
  using enum Objective;
  CHECK(front(kEdgeMemory, kLatency) == Indices{0, 1, 3});
  CHECK(front(kLatency, kEdgeMemory) == Indices{3, 1, 0});
  CHECK(front(kEnergy, kLatency) == Indices{0, 1, 2});
  CHECK(front(kCost, kLatency) == Indices{0, 3});
  CHECK(front(kEnergy, kCost) == Indices{3, 1, 2});
  CHECK(front(kEdgeMemory, kEnergy) == Indices{2, 1, 3});
  CHECK(front(kEdgeMemory, kCost) == Indices{3});
}

TEST_CASE("infeasible candidates neither enter the front nor dominate") {
  std::vector<Candidate> c = {edge_candidate(0, 1, 9), edge_candidate(1, 2, 5)};
  std::vector<Score> scores = {{.latency_ns = 1, .memory_bytes = 9, .broken = kBoundRam},
                               {.latency_ns = 2, .memory_bytes = 5}};
  std::vector<CandidateIndex> front(2);
  CHECK(pareto_front(c, scores, {}, front) == 1);
  CHECK(front[0] == 1);
}

TEST_CASE("the largest table with every candidate on the front, entered in the worst order") {
  std::vector<ObjectivePoint> points;
  for (std::uint64_t i = 0; i < kMaxCandidates; ++i) {
    points.push_back({kMaxCandidates - i, kMaxCandidates - i});
  }
  const std::vector<CandidateIndex> front = front_of(points);
  REQUIRE(front.size() == kMaxCandidates);
  CHECK(front.front() == kMaxCandidates - 1);
  CHECK(front.back() == 0);
}

}  // namespace
}  // namespace cleave::planner
