// SPDX-License-Identifier: Apache-2.0
#include "agent/front_picks.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace cleave::agent {
namespace {

using planner::CandidateIndex;
using planner::Objective;
using planner::ObjectivePair;
using planner::Score;

// Planned, so that the front is the planner's own: candidates that run on the device alone, with a
// joule a second, whose memory is given.
struct Planned {
  Planned(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& latency_and_memory,
          const ObjectivePair& objectives = {})
      : scores(latency_and_memory.size()), front(latency_and_memory.size()), pair(objectives) {
    std::vector<planner::Candidate> candidates;
    for (const auto& [latency_ns, memory_bytes] : latency_and_memory) {
      candidates.push_back({.split = static_cast<std::uint16_t>(candidates.size()),
                            .needs_server = false,
                            .edge_latency_ns = latency_ns,
                            .edge_memory_bytes = memory_bytes});
    }
    const planner::Conditions conditions{.energy = {.compute_uw = 1'000'000}};
    front.resize(
        planner::plan(candidates, conditions, {.objectives = pair}, {scores, front}).front_size);
  }
  std::optional<CandidateIndex> knee() const { return knee_of_front(scores, front, pair); }

  std::vector<Score> scores;
  std::vector<CandidateIndex> front;
  ObjectivePair pair;
};

TEST_CASE("the knee is where more latency stops buying much memory") {
  // Scaled: (0, 0), (0.1, 0.6), (0.2, 0.9), (1, 1) of latency and memory gained.
  CHECK(Planned({{100, 0}, {200, 60}, {300, 90}, {1100, 100}}).knee() == 2);
  CHECK(Planned({{100, 0}, {200, 60}, {300, 65}, {1100, 100}}).knee() == 1);
  // The unit of neither matters.
  CHECK(Planned({{100, 0}, {200, 60'000'000}, {300, 90'000'000}, {1100, 100'000'000}}).knee() == 2);
}

TEST_CASE("the same knee from the other side") {
  CHECK(Planned({{100, 0}, {200, 60}, {300, 90}, {1100, 100}},
                {.optimized = Objective::kLatency, .constrained = Objective::kEdgeMemory})
            .knee() == 2);
}

TEST_CASE("a front without a knee gives its end that is best in the constrained objective") {
  CHECK_FALSE(Planned({}).knee());
  CHECK(Planned({{5, 5}}).knee() == 0);
  CHECK(Planned({{9, 9}, {5, 5}}).knee() == 1);
  CHECK(Planned({{0, 0}, {10, 10}, {20, 20}}).knee() == 0);    // a straight line
  CHECK(Planned({{0, 0}, {80, 20}, {100, 100}}).knee() == 0);  // bent the other way
  CHECK(Planned({{0, 0}, {80, 20}, {90, 95}, {100, 100}}).knee() == 2);
}

TEST_CASE("values next to each other at the far end are told apart") {
  const std::uint64_t top = UINT64_MAX - 10;
  CHECK(Planned({{top, 0}, {top + 1, 9}, {top + 10, 10}}).knee() == 1);
  CHECK(Planned({{0, 0}, {1, UINT64_MAX - 1}, {UINT64_MAX, UINT64_MAX}}).knee() == 1);
}

TEST_CASE("the best of the front in any objective, the first of equals") {
  Planned p({{100, 0}, {200, 60}, {300, 90}, {1, 95'000}});
  p.front = {0, 1, 2};
  CHECK(best_on_front(p.scores, p.front, Objective::kLatency) == 0);
  CHECK(best_on_front(p.scores, p.front, Objective::kEdgeMemory) == 2);
  CHECK(best_on_front(p.scores, p.front, Objective::kEnergy) == 0);
  p.scores[1].energy_uj = 0;
  p.scores[2].energy_uj = 0;
  CHECK(best_on_front(p.scores, p.front, Objective::kEnergy) == 1);
  p.scores[0].cost_ueur = 7;
  p.scores[1].cost_ueur = 6;
  p.scores[2].cost_ueur = 5;
  CHECK(best_on_front(p.scores, p.front, Objective::kCost) == 2);
  CHECK_FALSE(best_on_front(p.scores, {}, Objective::kCost));
}

}  // namespace
}  // namespace cleave::agent
