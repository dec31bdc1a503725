// SPDX-License-Identifier: Apache-2.0
#include "planner/policies.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

const Link kTenMbitUplink = link_of(10'000'000);

Decision decide(const std::vector<Candidate>& candidates, Policy policy,
                const Link& link = kTenMbitUplink, const Caps& caps = {}) {
  return Planned(candidates, link, caps, {.policy = policy}).decision;
}

TEST_CASE("LOA follows the bandwidth, ECO and SCO do not") {
  const auto candidates = paper_candidates();
  for (const auto& [mbit, loa] :
       {std::pair<std::uint64_t, CandidateIndex>{1, 3}, {3, 2}, {10, 0}}) {
    const Link link = link_of(mbit * 1'000'000);
    CHECK(decide(candidates, Policy::kLatencyOnly, link).index == loa);
    CHECK(decide(candidates, Policy::kEdgeOnly, link).index == 3);
    CHECK(decide(candidates, Policy::kServerOnly, link).index == 0);
  }
  CHECK(decide(candidates, Policy::kLatencyOnly).reason == Reason::kLeastLatency);
  CHECK(decide(candidates, Policy::kEdgeOnly).reason == Reason::kEdgeOnly);
  CHECK(decide(candidates, Policy::kServerOnly).reason == Reason::kServerOnly);
  CHECK(decide(candidates, Policy::kServerOnly).chosen.latency_ns == 1'360'576'924);
}

TEST_CASE("LOA ties go to the smaller cut even when a deeper one is as fast") {
  const std::vector<Candidate> c = {edge_candidate(2, 100, 90), edge_candidate(1, 100, 10)};
  CHECK(decide(c, Policy::kLatencyOnly).index == 1);
}

TEST_CASE("SCO takes the faster way of sending the picture") {
  std::vector<Candidate> c = {split_candidate(0, 0, 600'000, 50, 0),
                              split_candidate(0, 0, 40'000, 9'000'000, 0),
                              split_candidate(1, 0, 1, 0, 0), edge_candidate(2, 1, 1)};
  c[1].codec = 1;
  CHECK(decide(c, Policy::kServerOnly, link_of(1'000'000)).index == 1);
  CHECK(decide(c, Policy::kServerOnly, link_of(1'000'000'000)).index == 0);
}

TEST_CASE("SCO with pixels and SCO with a JPEG are two choices") {
  std::vector<Candidate> c = {split_candidate(0, 0, 600'000, 50, 0),
                              split_candidate(0, 0, 40'000, 9'000'000, 0),
                              split_candidate(1, 0, 1, 0, 0), edge_candidate(2, 1, 1)};
  c[1].sends_jpeg = true;
  for (const std::uint64_t mbit : {1, 1000}) {
    const Link link = link_of(mbit * 1'000'000);
    CHECK(decide(c, Policy::kServerOnlyRaw, link).index == 0);
    CHECK(decide(c, Policy::kServerOnlyJpeg, link).index == 1);
    CHECK(decide(c, Policy::kServerOnlyJpeg, link).reason == Reason::kServerOnly);
  }
  c[1].sends_jpeg = false;
  CHECK(decide(c, Policy::kServerOnlyJpeg).status == PlanStatus::kNoCandidates);
}

TEST_CASE("SCO without a server and ECO over the cap are infeasible, and say why") {
  const auto candidates = paper_candidates();
  const Decision sco = decide(candidates, Policy::kServerOnly, {});
  CHECK(sco.status == PlanStatus::kInfeasible);
  CHECK(sco.broken == kBoundServerAbsent);
  CHECK(sco.front_size == 1);  // the device alone still could
  const Decision eco = decide(candidates, Policy::kEdgeOnly, kTenMbitUplink,
                              {.storage_bytes = 79'999'999, .min_split = 1});
  CHECK(eco.status == PlanStatus::kInfeasible);
  CHECK(eco.broken == kBoundStorage);  // and not the privacy floor, which k = 0 alone breaks
}

TEST_CASE("a policy with no candidate of its kind says so") {
  CHECK(decide({edge_candidate(2, 1, 1)}, Policy::kServerOnly).status == PlanStatus::kNoCandidates);
  CHECK(decide({split_candidate(0, 1, 1, 1, 1)}, Policy::kEdgeOnly).status ==
        PlanStatus::kNoCandidates);
}

TEST_CASE("the generator is SplitMix64") {
  // Reference outputs for seed 1234567 of the generator's published C source.
  SplitMix64 random(1234567);
  CHECK(random.next() == 6457827717110365317u);
  CHECK(random.next() == 3203168211198807973u);
  CHECK(random.next() == 9817491932198370423u);
}

TEST_CASE("a draw that would favour the low numbers is drawn again") {
  // 2^64 mod (2^63 + 1) is 2^63 - 1: the first two outputs above are below it.
  constexpr std::uint64_t kBound = (1ull << 63) + 1;
  CHECK(SplitMix64(1234567).below(kBound) == 9817491932198370423u - kBound);
}

TEST_CASE("RS is repeatable, stays feasible and treats the feasible ones alike") {
  std::vector<Candidate> c;
  for (std::uint16_t k = 0; k < 10; ++k) c.push_back(edge_candidate(k, k, k < 3 ? 200 : 50));
  const Caps caps{.ram_bytes = 100};
  std::vector<int> count(10, 0);
  for (std::uint64_t seed = 0; seed < 70'000; ++seed) {
    const Planned p(c, {}, caps, {.policy = Policy::kRandom, .seed = seed});
    REQUIRE(p.decision.status == PlanStatus::kOk);
    ++count[p.decision.index];
  }
  for (std::size_t k = 0; k < 3; ++k) CHECK(count[k] == 0);
  // 10,000 each expected; five standard deviations are 463.
  for (std::size_t k = 3; k < 10; ++k) {
    CHECK(count[k] > 9'537);
    CHECK(count[k] < 10'463);
  }
  const Request again{.policy = Policy::kRandom, .seed = 99};
  const Planned first(c, {}, caps, again);
  CHECK(first.decision.reason == Reason::kRandom);
  CHECK(first.decision.index == Planned(c, {}, caps, again).decision.index);
}

}  // namespace
}  // namespace cleave::planner
