// SPDX-License-Identifier: Apache-2.0
//
// From a model and measured tables to a decision: each term of a split's latency and memory is
// computed here again by hand.
#include "agent/split_planner.h"

#include <doctest/doctest.h>

#include <numeric>

#include "engine/executor.h"
#include "engine/weights.h"
#include "tests/support/model_builder.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kOverhead = 1'000'000;

struct Bench {
  std::shared_ptr<const ModelFile> model;
  SplitPlanner planner;
  ProfileData edge, server;

  static std::shared_ptr<const ModelFile> make_model() {
    test::ModelBuilder builder({8, 8, 3});
    auto x = builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1});
    x = builder.max_pool2d(x, test::WindowSpec{.window = 2, .stride = 2});
    x = builder.conv2d(x, 8, test::WindowSpec{.window = 3, .pad = 1});
    builder.fully_connected(x, 5);
    auto model = ModelFile::from_bytes(builder.build());
    REQUIRE(model.is_ok());
    return *model;
  }

  static SplitPlanner make_planner(const ModelFile& model) {
    auto planner = SplitPlanner::create(model, 0, kOverhead);
    REQUIRE(planner.is_ok());
    return *planner;
  }

  Bench() : model(make_model()), planner(make_planner(*model)) {
    const std::string variant = model->header().variants()->Get(0)->name()->str();
    edge.input_ns = 500'000;
    edge.variants.push_back(
        {variant, 1, 3, {4'000'000, 1'000'000, 6'000'000, 2'000'000}, {0, 0, 0, 0}});
    server.input_ns = 70'000;
    server.variants.push_back({variant, 1, 3, {400'000, 100'000, 600'000, 200'000}, {0, 0, 0, 0}});
    REQUIRE(planner.set_edge_profile(edge).is_ok());
  }

  [[nodiscard]] Plan decide(std::uint64_t bandwidth_bps, planner::Policy policy,
                            const planner::Caps& caps = {}, const PictureCost& picture = {}) const {
    return planner.decide(picture,
                          {.bandwidth_bps = bandwidth_bps, .rtt_ns = 1'000, .available = true},
                          caps, {.policy = policy});
  }
};

}  // namespace

TEST_CASE("latency is input, head, link and tail; memory is weights and arena") {
  Bench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  const Plan plan = bench.decide(8'000'000, planner::Policy::kLatencyOnly);  // a byte a microsecond
  REQUIRE(plan.splits.size() == 5);
  const std::uint64_t boundary_bytes[] = {8 * 8 * 3, 8 * 8 * 4 * 4, 4 * 4 * 4 * 4, 4 * 4 * 8 * 4};
  const std::uint64_t edge_ns[] = {500'000, 4'500'000, 5'500'000, 11'500'000, 13'500'000};
  const std::uint64_t server_ns[] = {1'300'000, 900'000, 800'000, 200'000};
  for (std::size_t k = 0; k < 4; ++k) {
    CAPTURE(k);
    const PlannedSplit& row = plan.splits[k];
    CHECK(row.candidate.boundary_bytes == boundary_bytes[k]);
    CHECK(row.candidate.edge_latency_ns == edge_ns[k]);
    CHECK(row.candidate.server_latency_ns == server_ns[k]);
    CHECK(row.score.latency_ns == edge_ns[k] + server_ns[k] + boundary_bytes[k] * 1000 + 1'000);
  }
  CHECK(plan.splits[4].score.latency_ns == edge_ns[4]);
  CHECK(plan.splits[0].candidate.edge_memory_bytes == 0);
  const std::uint64_t first_conv = (4 * 3 * 3 * 3 + 4) * 4;
  const auto arena =
      plan_arena_bytes(*bench.model->header().variants()->Get(0), {0, 1}, 1, OutputPlace::kCaller);
  REQUIRE(arena.is_ok());
  const std::uint64_t head = first_conv + *arena + boundary_bytes[1] + kHeadOtherBytes +
                             operator_bytes(*bench.model->header().variants()->Get(0), 0);
  CHECK(plan.splits[1].candidate.edge_memory_bytes == head);
  CHECK(plan.splits[0].candidate.edge_ram_bytes == kOverhead + 8 * 8 * 3);
  CHECK(plan.splits[1].candidate.edge_ram_bytes == kOverhead + 8 * 8 * 3 + head);
  CHECK(plan.chosen == 0);
}

TEST_CASE(
    "every split has the arena of its own range, and finishing alone the whole network's beside "
    "it") {
  const Bench bench;
  const fbs::Variant& variant = *bench.model->header().variants()->Get(0);
  const Plan plan = bench.decide(8'000'000, planner::Policy::kEdgeOnly);
  REQUIRE(plan.splits.size() == 5);
  const auto arena = [&](OpIndex first, OpIndex last) {
    const auto bytes = plan_arena_bytes(variant, {first, last}, 1, OutputPlace::kCaller);
    REQUIRE(bytes.is_ok());
    return *bytes;
  };
  const auto ram = [&](std::size_t k) { return plan.splits[k].candidate.edge_ram_bytes; };
  const std::vector<Cut> cuts = find_cuts(bench.model->header(), 0);
  std::uint64_t weights = 0;
  for (OpIndex k = 1; k <= 4; ++k) {
    CAPTURE(k);
    weights += weight_bytes(*variant.ops()->Get(k - 1)) + operator_bytes(variant, k - 1);
    CHECK(plan.splits[k].candidate.edge_memory_bytes ==
          weights + arena(0, k) + cuts[k].boundary_bytes + kHeadOtherBytes);
  }
  CHECK(bench.planner.ram_bytes_to_finish(2) == ram(4) + arena(0, 2) + cuts[2].boundary_bytes);
  CHECK(arena(2, 4) <= arena(0, 4));
}

TEST_CASE("a JPEG at split 0 costs its own bytes and the server's decoding, not the device's") {
  Bench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  const Plan plan = bench.decide(8'000'000, planner::Policy::kServerOnly, {},
                                 {.is_jpeg = true, .file_bytes = 2'000});
  REQUIRE(plan.chosen == 0);
  CHECK(plan.splits[0].score.latency_ns == 70'000 + 1'300'000 + 2'000'000 + 1'000);
  CHECK(plan.splits[1].candidate.edge_latency_ns == 4'500'000);
}

TEST_CASE("without a server's table only the device is feasible") {
  const Bench bench;
  const Plan plan = bench.decide(1'000'000'000, planner::Policy::kLmos);
  REQUIRE(plan.chosen == 4);
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(plan.splits[k].score.broken == planner::kBoundServerAbsent);
  }
  const Plan server_only = bench.decide(1'000'000'000, planner::Policy::kServerOnly);
  CHECK_FALSE(server_only.chosen.has_value());
  CHECK(server_only.why.find("no server") != std::string::npos);
}

TEST_CASE("an infeasible cap is named") {
  Bench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  const Plan plan = bench.decide(8'000'000, planner::Policy::kEdgeOnly, {.ram_bytes = kOverhead});
  CHECK_FALSE(plan.chosen.has_value());
  CHECK(plan.why.find("RAM") != std::string::npos);
}

TEST_CASE("a table of another network is refused") {
  Bench bench;
  ProfileData wrong = bench.edge;
  wrong.variants[0].op_median_ns.push_back(1);
  CHECK(bench.planner.set_edge_profile(wrong).code() == StatusCode::kMismatch);
  wrong = bench.server;
  wrong.variants[0].variant = "other";
  CHECK(bench.planner.set_server_profile(wrong).code() == StatusCode::kMismatch);
}

}  // namespace cleave::agent
