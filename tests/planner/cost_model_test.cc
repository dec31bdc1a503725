// SPDX-License-Identifier: Apache-2.0
#include "planner/cost_model.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

// Three ops, cuts at 0, 2 and 3; picture input costs 7 ns on the device where it decodes.
struct SmallTable {
  std::vector<std::uint64_t> edge_ns = {100, 200, 400};
  std::vector<std::uint64_t> server_ns = {10, 20, 40};
  std::vector<CutCost> cuts = {
      {.op_boundary = 0, .split = 0, .boundary_bytes = 50, .edge_memory_bytes = 1},
      {.op_boundary = 2,
       .split = 1,
       .boundary_bytes = 60,
       .edge_fixed_ns = 7,
       .edge_memory_bytes = 2,
       .edge_ram_bytes = 3,
       .edge_storage_bytes = 4},
      {.op_boundary = 3,
       .split = 2,
       .boundary_bytes = 70,
       .edge_fixed_ns = 7,
       .edge_memory_bytes = 5,
       .edge_ram_bytes = 6,
       .edge_storage_bytes = 8}};
  std::vector<Coding> codings;

  CostTable table() const {
    CostTable t;
    t.edge_op_ns = edge_ns;
    t.server_op_ns = server_ns;
    t.cuts = cuts;
    t.codings = codings;
    t.server_fixed_ns = 1000;
    t.variant = 2;
    return t;
  }
};

TEST_CASE("the literal model is X / (C * S)") {
  const Processor edge{.cores = 2, .clock_hz = 1'500'000'000};
  CHECK(literal_compute_ns(3'000'000'000, edge) == 1'000'000'000);
  CHECK(literal_compute_ns(0, edge) == 0);
  CHECK(literal_compute_ns(1, edge) == 1);  // a third of a nanosecond, rounded up
  CHECK(literal_compute_ns(1, {.cores = 1, .clock_hz = 0}) == kMax);
  CHECK(literal_compute_ns(kMax, {.cores = 1, .clock_hz = 1}) == kMax);
}

TEST_CASE("literal op times add up to the formula on every prefix") {
  const std::vector<std::uint64_t> ones(10, 1);
  std::vector<std::uint64_t> ns(10);
  literal_op_ns(ones, {.cores = 3, .clock_hz = 1'000'000'000}, ns);
  std::uint64_t sum = 0;
  for (std::uint64_t n = 0; n < 10; ++n) {
    sum += ns[n];
    CHECK(sum == (n + 1 + 2) / 3);
  }
  const std::vector<std::uint64_t> huge(3, kMax);
  std::vector<std::uint64_t> huge_ns(3);
  literal_op_ns(huge, {.cores = 1, .clock_hz = 1'000'000'000}, huge_ns);
  CHECK(huge_ns == std::vector<std::uint64_t>{kMax, 0, 0});
}

TEST_CASE("the paper's formulas on a table computed by hand") {
  const std::vector<Candidate> candidates = paper_candidates();
  REQUIRE(candidates.size() == 4);
  const std::uint64_t edge[] = {0, 1'000'000'000, 1'500'000'000, 2'500'000'000};
  const std::uint64_t server[] = {360'576'924, 216'346'154, 144'230'770, 0};
  const std::uint64_t tx[] = {1'000'000'000, 500'000'000, 100'000'000, 0};
  for (std::size_t k = 0; k < 4; ++k) {
    CAPTURE(k);
    CHECK(candidates[k].edge_latency_ns == edge[k]);
    CHECK(candidates[k].server_latency_ns == server[k]);
    CHECK(candidates[k].needs_server == (k < 3));
    const Score s = score(candidates[k], link_of(10'000'000), {});
    CHECK(s.tx_ns == tx[k]);
    CHECK(s.latency_ns == edge[k] + tx[k] + server[k]);
    CHECK(s.broken == kBoundNone);
  }
}

TEST_CASE("without codings every cut sends its own bytes once") {
  const SmallTable small;
  std::vector<Candidate> out(3);
  const Built built = build_candidates(small.table(), out);
  CHECK(built.status == BuildStatus::kOk);
  REQUIRE(built.count == 3);
  CHECK(out[0].edge_latency_ns == 0);
  CHECK(out[0].server_latency_ns == 1070);
  CHECK(out[0].boundary_bytes == 50);
  CHECK(out[1].cut == 2);
  CHECK(out[1].split == 1);
  CHECK(out[1].variant == 2);
  CHECK(out[1].edge_latency_ns == 307);
  CHECK(out[1].server_latency_ns == 1040);
  CHECK(out[1].edge_memory_bytes == 2);
  CHECK(out[1].edge_ram_bytes == 3);
  CHECK(out[1].edge_storage_bytes == 4);
}

TEST_CASE("at k = L nothing is sent and the server takes no time") {
  const SmallTable small;
  std::vector<Candidate> out(3);
  REQUIRE(build_candidates(small.table(), out).count == 3);
  CHECK_FALSE(out[2].needs_server);
  CHECK(out[2].boundary_bytes == 0);
  CHECK(out[2].server_latency_ns == 0);
  const Score s = score(out[2], link_of(1, 1'000'000'000), {});
  CHECK(s.tx_ns == 0);
  CHECK(s.latency_ns == 707);
}

TEST_CASE("each coding of a cut is a candidate with its own bytes and times") {
  SmallTable small;
  small.codings = {{.cut_index = 0, .codec = 1, .coded_bytes = 9, .encode_ns = 0, .decode_ns = 5},
                   {.cut_index = 0, .codec = 2, .coded_bytes = 30, .encode_ns = 6, .decode_ns = 0},
                   {.cut_index = 1, .codec = 0, .coded_bytes = 60},
                   {.cut_index = 2, .codec = 0, .coded_bytes = 70}};
  std::vector<Candidate> out(8);
  const Built built = build_candidates(small.table(), out);
  REQUIRE(built.count == 4);  // the coding of the last cut has nothing to code
  CHECK(out[0].codec == 1);
  CHECK(out[0].boundary_bytes == 9);
  CHECK(out[0].server_latency_ns == 1075);
  CHECK(out[1].codec == 2);
  CHECK(out[1].edge_latency_ns == 6);
  CHECK(out[1].server_latency_ns == 1070);
  CHECK(out[2].cut == 2);
  CHECK(out[2].edge_latency_ns == 307);
  CHECK_FALSE(out[3].needs_server);
}

TEST_CASE("tables that do not fit together are refused") {
  std::vector<Candidate> out(8);
  SUBCASE("op counts differ") {
    SmallTable t;
    t.server_ns.pop_back();
    CHECK(build_candidates(t.table(), out).status == BuildStatus::kOpCountMismatch);
  }
  SUBCASE("a cut beyond the last op") {
    SmallTable t;
    t.cuts[2].op_boundary = 4;
    CHECK(build_candidates(t.table(), out).status == BuildStatus::kCutOutOfRange);
  }
  SUBCASE("a cut listed twice") {
    SmallTable t;
    t.cuts[1].op_boundary = 0;
    CHECK(build_candidates(t.table(), out).status == BuildStatus::kNotAscending);
  }
  SUBCASE("a coding of no cut") {
    SmallTable t;
    t.codings = {{.cut_index = 3}};
    CHECK(build_candidates(t.table(), out).status == BuildStatus::kCutOutOfRange);
  }
  SUBCASE("codings out of order") {
    SmallTable t;
    t.codings = {{.cut_index = 1}, {.cut_index = 0}};
    CHECK(build_candidates(t.table(), out).status == BuildStatus::kNotAscending);
  }
  SUBCASE("no room") {
    const SmallTable t;
    const Built built = build_candidates(t.table(), std::span(out).first(2));
    CHECK(built.status == BuildStatus::kTooMany);
    CHECK(built.count == 0);
  }
  SUBCASE("more candidates than the planner takes") {
    SmallTable t;
    t.codings.assign(kMaxCandidates + 1, Coding{.cut_index = 0});
    std::vector<Candidate> large(kMaxCandidates + 8);
    CHECK(build_candidates(t.table(), large).status == BuildStatus::kTooMany);
  }
}

TEST_CASE("transmission is bytes over bandwidth plus one round trip") {
  CHECK(transmit_ns(0, link_of(10'000'000, 40'000'000)) == 40'000'000);
  CHECK(transmit_ns(1'250'000, link_of(10'000'000, 40'000'000)) == 1'040'000'000);
  CHECK(transmit_ns(1, link_of(3'000'000'000)) == 3);  // 2.67 ns
  CHECK(transmit_ns(0, link_of(0)) == kMax);
  CHECK(transmit_ns(kMax, link_of(1, 5)) == kMax);
  CHECK(transmit_ns(1, link_of(8, kMax)) == kMax);
}

TEST_CASE("every broken bound is named, and a bound that is met exactly holds") {
  Candidate c = split_candidate(3, 10, 20, 30, 0);
  c.edge_ram_bytes = 100;
  c.edge_storage_bytes = 200;
  const Link link = link_of(8'000'000'000);
  CHECK(score(c, link, {.ram_bytes = 100, .storage_bytes = 200, .min_split = 3}).broken == 0);
  CHECK(score(c, link, {.ram_bytes = 99, .storage_bytes = 200}).broken == kBoundRam);
  CHECK(score(c, link, {.ram_bytes = 100, .storage_bytes = 199}).broken == kBoundStorage);
  CHECK(score(c, link, {.min_split = 4}).broken == kBoundPrivacyFloor);
  CHECK(score(c, {}, {.ram_bytes = 0, .storage_bytes = 0, .min_split = 4}).broken ==
        (kBoundRam | kBoundStorage | kBoundServerAbsent | kBoundPrivacyFloor));
}

TEST_CASE("a link that is down or carries nothing is an absent server") {
  const Candidate c = split_candidate(1, 10, 0, 30, 0);
  Link down = link_of(10'000'000);
  down.available = false;
  CHECK(score(c, down, {}).broken == kBoundServerAbsent);
  CHECK(score(c, down, {}).latency_ns == kMax);
  CHECK(score(c, link_of(0), {}).broken == kBoundServerAbsent);
  CHECK(score(edge_candidate(2, 10, 0), down, {}).broken == kBoundNone);
  CHECK(score(edge_candidate(2, 10, 0), down, {}).latency_ns == 10);
}

TEST_CASE("latency saturates at the extremes, in whatever part they are") {
  const Link link = link_of(8'000'000'000);
  CHECK(score(split_candidate(1, kMax, 1, 0, 0), link, {}).latency_ns == kMax);
  CHECK(score(split_candidate(1, 0, kMax, 1, 0), link, {}).latency_ns == kMax);
  CHECK(score(split_candidate(1, 1, 0, kMax, 0), link, {}).latency_ns == kMax);
  CHECK(score(split_candidate(1, kMax - 2, 1, 1, 0), link, {}).latency_ns == kMax);
  CHECK(score(split_candidate(1, kMax - 3, 1, 1, 0), link, {}).latency_ns == kMax - 1);

  SmallTable t;
  t.edge_ns = {kMax, 5, 0};
  t.server_ns = {5, kMax, 9};
  std::vector<Candidate> out(3);
  REQUIRE(build_candidates(t.table(), out).count == 3);
  CHECK(out[0].server_latency_ns == kMax);
  CHECK(out[1].edge_latency_ns == kMax);
  CHECK(out[1].server_latency_ns == 1009);
  CHECK(out[2].edge_latency_ns == kMax);
}

}  // namespace
}  // namespace cleave::planner
