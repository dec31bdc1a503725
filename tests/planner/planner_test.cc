// SPDX-License-Identifier: Apache-2.0
//
// plan(): what a user of the library sees.
#include "planner/planner.h"

#include <doctest/doctest.h>

#include <vector>

#include "planner/policies.h"
#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

const Link kTenMbitLink = link_of(10'000'000);

TEST_CASE("the front of the hand-computed network, its ideal and nadir points") {
  const Planned p(paper_candidates(), kTenMbitLink, {}, {});
  CHECK(p.decision.status == PlanStatus::kOk);
  REQUIRE(p.decision.front_size == 4);
  for (CandidateIndex k = 0; k < 4; ++k) {
    CHECK(p.front()[k] == k);
    CHECK(p.scores[k].on_front);
  }
  CHECK(p.decision.ideal.latency_ns == 1'360'576'924);
  CHECK(p.decision.ideal.memory_bytes == 40'000'000);
  CHECK(p.decision.nadir.latency_ns == 2'500'000'000);
  CHECK(p.decision.nadir.memory_bytes == 0);
}

TEST_CASE("a slow link leaves only the device") {
  const Planned p(paper_candidates(), link_of(1'000'000), {}, {});
  CHECK(p.decision.front_size == 1);
  CHECK(p.decision.index == 3);
  CHECK_FALSE(p.scores[0].on_front);
}

TEST_CASE("by default the deepest split within a tenth over the best latency is taken") {
  const auto candidates = paper_candidates();
  const Planned p(candidates, kTenMbitLink, {}, {});
  CHECK(p.decision.budget == 1'496'634'616);  // 1360576924 * 1.1 rounded down
  CHECK(p.decision.index == 0);
  CHECK(p.decision.reason == Reason::kBestWithinBudget);
  CHECK(p.decision.chosen.latency_ns == 1'360'576'924);

  const Planned wide(candidates, kTenMbitLink, {}, {.factor = {13, 10}});
  CHECK(wide.decision.budget == 1'768'750'001);
  CHECK(wide.decision.index == 2);
  CHECK(wide.decision.chosen.latency_ns == 1'744'230'770);
  CHECK(wide.decision.chosen.memory_bytes == 30'000'000);

  const Planned exact(candidates, kTenMbitLink, {}, {.factor = {1, 1}});
  CHECK(exact.decision.index == 0);
}

TEST_CASE("a budget from the user is kept to the nanosecond") {
  const auto with_budget = [](std::uint64_t ns) {
    return Planned(paper_candidates(), kTenMbitLink, {},
                   {.rank = Rank::kWithinBudget, .budget = ns})
        .decision;
  };
  CHECK(with_budget(1'744'230'770).index == 2);
  CHECK(with_budget(1'744'230'769).index == 1);
  CHECK(with_budget(kMax).index == 3);
  const Decision late = with_budget(1'000'000'000);
  CHECK(late.status == PlanStatus::kOk);
  CHECK(late.index == 0);
  CHECK(late.reason == Reason::kNothingWithinBudget);
  CHECK(late.budget == 1'000'000'000);
}

TEST_CASE("the literal rank: f2 by default, f1 when memory is the constraint") {
  const Planned f2(paper_candidates(), kTenMbitLink, {}, {.rank = Rank::kLiteral});
  CHECK(f2.decision.index == 3);
  CHECK(f2.decision.reason == Reason::kLiteralRank);
  CHECK(f2.decision.budget == kMax);
  const Planned f1(
      paper_candidates(), kTenMbitLink, {},
      {.rank = Rank::kLiteral,
       .objectives = {.optimized = Objective::kLatency, .constrained = Objective::kEdgeMemory}});
  CHECK(f1.decision.index == 0);
}

TEST_CASE("a split that was outside the caps is on nobody's front") {
  const Caps caps{.ram_bytes = 30'000'000, .storage_bytes = 59'999'999, .min_split = 1};
  const Planned p(paper_candidates(), kTenMbitLink, caps, {.rank = Rank::kLiteral});
  CHECK(p.scores[0].broken == kBoundPrivacyFloor);
  CHECK(p.scores[1].broken == kBoundNone);
  CHECK(p.scores[2].broken == kBoundStorage);
  CHECK(p.scores[3].broken == (kBoundRam | kBoundStorage));
  CHECK(p.decision.index == 1);
  CHECK(p.decision.front_size == 1);
}

TEST_CASE("no split fits: every policy says which bounds stand in the way") {
  const Caps caps{.ram_bytes = 5, .min_split = 1};
  for (const Policy policy : {Policy::kLmos, Policy::kLatencyOnly, Policy::kRandom}) {
    const Planned p(paper_candidates(), kTenMbitLink, caps, {.policy = policy});
    CHECK(p.decision.status == PlanStatus::kInfeasible);
    CHECK(p.decision.index == kNoCandidate);
    CHECK(p.decision.reason == Reason::kNone);
    CHECK(p.decision.broken == (kBoundRam | kBoundPrivacyFloor));
    CHECK(p.decision.front_size == 0);
  }
}

TEST_CASE("without a server only the whole network on the device is left") {
  const Planned p(paper_candidates(), {}, {}, {});
  CHECK(p.decision.index == 3);
  CHECK(p.decision.front_size == 1);
  CHECK(p.scores[1].broken == kBoundServerAbsent);
}

TEST_CASE("of splits with one latency and one memory the smaller cut is taken") {
  const std::vector<Candidate> equal = {edge_candidate(7, 100, 50), edge_candidate(5, 100, 50),
                                        edge_candidate(6, 100, 50)};
  for (const Rank rank : {Rank::kWithinFactor, Rank::kWithinBudget, Rank::kLiteral}) {
    const Planned p(equal, {}, {}, {.rank = rank, .budget = 100});
    CHECK(p.decision.index == 1);
  }
  CHECK(Planned(equal, {}, {}, {.policy = Policy::kLatencyOnly}).decision.index == 1);
}

// k = 0 as pixels or JPEG, a cut in the middle, and the device alone; 8 Mbit/s is a byte a us.
//        edge ms  kB   server ms  memory   tx ms  latency  energy  cost
//   0       0     150     10         0      150     160     320     10
//   1       5      50     20         0       50      75     165     20
//   2      60      20     40        30       20     120     420     40
//   3     200       -      -        40        -     200    1000      0
// with 5 W for computing and 2 W for waiting (energy in mJ), and a micro-euro a millisecond.
Conditions green_conditions() {
  Conditions now = conditions_of(link_of(8'000'000));
  now.energy = {.compute_uw = 5'000'000, .idle_uw = 2'000'000};
  now.prices = {.requests = 1, .server_ueur_per_hour = 3'600'000};
  return now;
}

std::vector<Candidate> green_candidates() {
  std::vector<Candidate> c = {split_candidate(0, 0, 150'000, 10 * kMillisecond, 0),
                              split_candidate(0, 5 * kMillisecond, 50'000, 20 * kMillisecond, 0),
                              split_candidate(1, 60 * kMillisecond, 20'000, 40 * kMillisecond, 30),
                              edge_candidate(2, 200 * kMillisecond, 40)};
  c[1].sends_jpeg = true;
  c[1].codec = 1;
  return c;
}

TEST_CASE("the least energy within a deadline, and the ends of that front") {
  const Planned p(green_candidates(), green_conditions(),
                  {.rank = Rank::kWithinBudget,
                   .objectives = {Objective::kEnergy, Objective::kEdgeMemory},
                   .budget = 30});
  CHECK(p.decision.index == 2);  // at least 30 bytes deep
  CHECK(p.decision.chosen.energy_uj == 420'000);
  CHECK(p.decision.chosen.cost_ueur == 40);
  CHECK(p.decision.budget == 30);
  REQUIRE(p.decision.front_size == 3);
  CHECK(p.front()[0] == 3);
  CHECK(p.front()[1] == 2);
  CHECK(p.front()[2] == 1);
  CHECK(p.decision.ideal.energy_uj == 165'000);
  CHECK(p.decision.ideal.memory_bytes == 40);
  CHECK(p.decision.nadir.energy_uj == 1'000'000);
  CHECK(p.decision.nadir.memory_bytes == 0);
  CHECK(p.decision.ideal.latency_ns == 0);  // none of the two
}

TEST_CASE("latency against cost, with energy as a bound") {
  Conditions now = green_conditions();
  const Request request{.rank = Rank::kLiteral,
                        .objectives = {Objective::kLatency, Objective::kCost}};
  const Planned free(green_candidates(), now, request);
  REQUIRE(free.decision.front_size == 3);  // alone, pixels, JPEG
  CHECK(free.decision.index == 1);
  CHECK(free.decision.budget == kMax);
  now.caps.energy_budget_uj = 320'000;
  const Planned frugal(green_candidates(), now, request);
  CHECK(frugal.decision.front_size == 2);
  CHECK(frugal.scores[3].broken == kBoundEnergy);
  CHECK(frugal.decision.nadir.cost_ueur == 20);
  CHECK(frugal.decision.ideal.cost_ueur == 10);
}

TEST_CASE("a factor over the best works for every constrained objective") {
  const auto with = [](Objective optimized, Objective constrained, Ratio factor) {
    return Planned(green_candidates(), green_conditions(),
                   {.objectives = {optimized, constrained}, .factor = factor})
        .decision;
  };
  const Decision energy = with(Objective::kEdgeMemory, Objective::kEnergy, {26, 10});
  CHECK(energy.budget == 429'000);
  CHECK(energy.index == 2);
  const Decision memory = with(Objective::kLatency, Objective::kEdgeMemory, {4, 3});
  CHECK(memory.budget == 30);  // the deepest, 40, divided by 4/3
  CHECK(memory.index == 2);
  CHECK(with(Objective::kLatency, Objective::kEdgeMemory, {5, 4}).budget == 32);
  const Decision free = with(Objective::kLatency, Objective::kCost, {100, 1});
  CHECK(free.budget == 0);  // a hundred times nothing
  CHECK(free.index == 3);
}

TEST_CASE("this picture's JPEG is large: the pixels go instead") {
  Conditions now = green_conditions();
  const Request sco{.policy = Policy::kServerOnly};
  CHECK(Planned(green_candidates(), now, sco).decision.index == 1);
  const PictureBytes large[] = {{.codec = 1, .bytes = 5'000'000}};
  now.picture_bytes = large;
  CHECK(Planned(green_candidates(), now, sco).decision.index == 0);
}

TEST_CASE("no latency within the deadline: infeasible, and it says why") {
  Conditions now = green_conditions();
  now.caps.deadline_ns = 74 * kMillisecond;
  const Planned p(green_candidates(), now, {});
  CHECK(p.decision.status == PlanStatus::kInfeasible);
  CHECK(p.decision.broken == kBoundDeadline);
}

TEST_CASE("inputs that cannot be planned are named, and nothing is written") {
  std::vector<Candidate> candidates(kMaxCandidates + 1, edge_candidate(1, 5, 5));
  std::vector<Score> scores(kMaxCandidates + 1, Score{.latency_ns = 77});
  std::vector<CandidateIndex> front(kMaxCandidates + 1, 77);
  const auto status = [&](std::size_t n, std::size_t n_scores, std::size_t n_front, Request r) {
    return plan(std::span(candidates).first(n), conditions_of(kTenMbitLink), r,
                {.scores = std::span(scores).first(n_scores),
                 .front = std::span(front).first(n_front)})
        .status;
  };
  CHECK(status(kMaxCandidates + 1, kMaxCandidates + 1, kMaxCandidates + 1, {}) ==
        PlanStatus::kTooMany);
  CHECK(status(3, 2, 3, {}) == PlanStatus::kOutputTooSmall);
  CHECK(status(3, 3, 2, {}) == PlanStatus::kOutputTooSmall);
  CHECK(status(3, 3, 3, {.factor = {1, 0}}) == PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.factor = {9, 10}}) == PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.policy = static_cast<Policy>(9)}) == PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.rank = static_cast<Rank>(9)}) == PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.objectives = {.optimized = static_cast<Objective>(5)}}) ==
        PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.objectives = {.constrained = static_cast<Objective>(0)}}) ==
        PlanStatus::kBadRequest);
  CHECK(status(3, 3, 3, {.objectives = {Objective::kCost, Objective::kCost}}) ==
        PlanStatus::kBadRequest);
  const Conditions unknown{.bytes_at = static_cast<Percentile>(2)};
  CHECK(plan(std::span(candidates).first(3), unknown, {}, {.scores = scores, .front = front})
            .status == PlanStatus::kBadRequest);
  CHECK(scores[0].latency_ns == 77);
  CHECK(front[0] == 77);
  CHECK(status(0, 0, 0, {}) == PlanStatus::kNoCandidates);
  CHECK(status(kMaxCandidates, kMaxCandidates, kMaxCandidates, {}) == PlanStatus::kOk);
  // A factor that this rank or policy does not use is not looked at.
  CHECK(status(3, 3, 3, {.rank = Rank::kLiteral, .factor = {1, 0}}) == PlanStatus::kOk);
  CHECK(status(3, 3, 3, {.policy = Policy::kLatencyOnly, .factor = {1, 0}}) == PlanStatus::kOk);
}

TEST_CASE("saturated latencies still give a decision") {
  const std::vector<Candidate> slow = {split_candidate(0, kMax, 1, 1, 0),
                                       edge_candidate(1, kMax, 9)};
  const Planned p(slow, kTenMbitLink, {}, {});
  CHECK(p.decision.status == PlanStatus::kOk);
  CHECK(p.decision.index == 1);  // as slow as the other and deeper
  CHECK(p.decision.budget == kMax);
}

}  // namespace
}  // namespace cleave::planner
