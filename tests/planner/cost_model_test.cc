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
    const Score s = score(candidates[k], conditions_of(link_of(10'000'000)));
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

TEST_CASE("what a coding holds counts for its candidate alone") {
  SmallTable small;
  small.codings = {{.cut_index = 1, .codec = 0},
                   {.cut_index = 1, .codec = 3, .edge_ram_bytes = 500},
                   {.cut_index = 1, .codec = 4, .edge_ram_bytes = kMax}};
  std::vector<Candidate> out(4);
  REQUIRE(build_candidates(small.table(), out).count == 4);
  CHECK(out[0].edge_ram_bytes == 3);
  CHECK(out[1].edge_ram_bytes == 503);
  CHECK(out[2].edge_ram_bytes == kMax);
  CHECK(out[1].edge_memory_bytes == out[0].edge_memory_bytes);
}

TEST_CASE("at k = L nothing is sent and the server takes no time") {
  const SmallTable small;
  std::vector<Candidate> out(3);
  REQUIRE(build_candidates(small.table(), out).count == 3);
  CHECK_FALSE(out[2].needs_server);
  CHECK(out[2].boundary_bytes == 0);
  CHECK(out[2].server_latency_ns == 0);
  const Score s = score(out[2], conditions_of(link_of(1, 1'000'000'000)));
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

TEST_CASE(
    "a coding's size at p95 is at least its median, its disagreement at least the variant's") {
  SmallTable small;
  small.codings = {{.cut_index = 0,
                    .codec = 1,
                    .coded_bytes = 9,
                    .coded_bytes_p95 = 12,
                    .disagreement_ppm = 40,
                    .is_jpeg = true},
                   {.cut_index = 1, .coded_bytes = 60, .disagreement_ppm = 20}};
  CostTable table = small.table();
  table.disagreement_ppm = 30;
  std::vector<Candidate> out(3);
  REQUIRE(build_candidates(table, out).count == 3);
  CHECK(out[0].boundary_bytes_p95 == 12);
  CHECK(out[0].disagreement_ppm == 40);
  CHECK(out[0].sends_jpeg);
  CHECK(out[1].boundary_bytes_p95 == 60);
  CHECK(out[1].disagreement_ppm == 30);
  CHECK_FALSE(out[1].sends_jpeg);
  CHECK(out[2].disagreement_ppm == 30);
  CHECK(out[2].boundary_bytes_p95 == 0);
}

TEST_CASE("two variants share one span and compete in one plan") {
  const SmallTable slow;
  SmallTable fast;
  fast.edge_ns = {1, 2, 4};
  std::vector<Candidate> out(6);
  const Built first = build_candidates(slow.table(), out);
  CostTable table = fast.table();
  table.variant = 1;
  table.disagreement_ppm = 900;
  const Built second = build_candidates(table, std::span(out).subspan(first.count));
  REQUIRE(first.count + second.count == 6);
  const auto chosen = [&](std::uint32_t ppm) {
    const Planned p(out, {}, {.disagreement_ppm = ppm}, {.policy = Policy::kEdgeOnly});
    return out[p.decision.index].variant;
  };
  CHECK(chosen(0) == 2);  // exact answers unless told otherwise
  CHECK(chosen(899) == 2);
  CHECK(chosen(900) == 1);
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

TEST_CASE("sums of op times saturate, whichever op is extreme") {
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
