// SPDX-License-Identifier: Apache-2.0
//
// From a model and measured tables to a decision: each term of a split's latency and memory is
// computed here again by hand.
#include "agent/split_planner.h"

#include <doctest/doctest.h>

#include <numeric>

#include "agent/monthly_cost.h"
#include "agent/trade_options.h"
#include "engine/executor.h"
#include "engine/weights.h"
#include "tests/support/model_builder.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kOverhead = 1'000'000;

struct SplitPlannerBench {
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

  SplitPlannerBench() : model(make_model()), planner(make_planner(*model)) {
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
    planner::Conditions conditions;
    conditions.link = {.bandwidth_bps = bandwidth_bps, .rtt_ns = 1'000, .available = true};
    conditions.caps = caps;
    return planner.decide(picture, conditions, {.policy = policy});
  }
};

}  // namespace

TEST_CASE("latency is input, head, link and tail; memory is weights and arena") {
  SplitPlannerBench bench;
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
  const std::uint64_t head =
      first_conv + *arena + boundary_bytes[1] + kHeadOtherBytes +
      operator_bytes(*bench.model->header().variants()->Get(0), 0, Preference::kSpeed);
  CHECK(plan.splits[1].candidate.edge_memory_bytes == head);
  CHECK(plan.splits[0].candidate.edge_ram_bytes == kOverhead + 8 * 8 * 3 + kPictureOtherBytes);
  CHECK(plan.splits[1].candidate.edge_ram_bytes == kOverhead + 8 * 8 * 3 + head);
  CHECK(plan.chosen == 0);
}

TEST_CASE(
    "every split has the arena of its own range, and finishing alone the whole network's beside "
    "it") {
  const SplitPlannerBench bench;
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
    weights += weight_bytes(*variant.ops()->Get(k - 1)) +
               operator_bytes(variant, k - 1, Preference::kSpeed);
    CHECK(plan.splits[k].candidate.edge_memory_bytes ==
          weights + arena(0, k) + cuts[k].boundary_bytes + kHeadOtherBytes);
  }
  CHECK(bench.planner.ram_bytes_to_finish(2) == ram(4) + arena(0, 2) + cuts[2].boundary_bytes);
  CHECK(arena(2, 4) <= arena(0, 4));
}

TEST_CASE("a JPEG at split 0 costs its own bytes and the server's decoding, or the device's") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  const auto decide = [&](std::uint64_t file_bytes) {
    return bench.decide(8'000'000, planner::Policy::kServerOnly, {},
                        {.is_jpeg = true, .file_bytes = file_bytes});
  };
  // 192 bytes of pixels and half a millisecond to get them against the file and 70 us there.
  const Plan small = decide(500);
  REQUIRE(small.chosen == 1);
  CHECK(small.splits[1].score.latency_ns == 70'000 + 1'300'000 + 500'000 + 1'000);
  CHECK(small.why.find("everything on the server (the file as it is), at") == 0);
  const Plan large = decide(2'000);
  REQUIRE(large.chosen == 0);
  CHECK(large.splits[0].score.latency_ns == 500'000 + 1'300'000 + 192'000 + 1'000);
  CHECK(large.splits[1].score.latency_ns == 70'000 + 1'300'000 + 2'000'000 + 1'000);
  CHECK(large.splits[2].candidate.edge_latency_ns == 4'500'000);
}

TEST_CASE("coded bytes count at the percentile that is asked for") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  planner::Conditions conditions;
  conditions.link = {.bandwidth_bps = 8'000'000, .rtt_ns = 1'000, .available = true};
  const PictureCost picture{.is_jpeg = true, .file_bytes = 500, .file_bytes_p95 = 2'000};
  const auto decide = [&] {
    return bench.planner.decide(picture, conditions, {.policy = planner::Policy::kServerOnly});
  };
  CHECK(decide().chosen == 1);
  conditions.bytes_at = planner::Percentile::kP95;
  const Plan plan = decide();
  CHECK(plan.chosen == 0);
  CHECK(plan.splits[1].bytes_up == 2'000);
  CHECK(plan.splits[1].score.latency_ns == 70'000 + 1'300'000 + 2'000'000 + 1'000);
}

TEST_CASE("a codec counts the most that it makes of a cut, and its memory") {
  const SplitPlannerBench raw;
  SplitPlannerBench coded;
  const auto f16 = CutCodecs::of_one(*coded.model, 0, {.codec = fbs::Codec::F16});
  REQUIRE(f16.is_ok());
  REQUIRE(coded.planner.use_codecs(*f16).is_ok());
  const Plan before = raw.decide(1'000'000, planner::Policy::kLatencyOnly);
  const Plan after = coded.decide(1'000'000, planner::Policy::kLatencyOnly);
  REQUIRE(before.splits.size() == after.splits.size());
  for (std::size_t i = 0; i < after.splits.size(); ++i) {
    const PlannedSplit& row = after.splits[i];
    const planner::Candidate& was = before.splits[i].candidate;
    const bool crosses = row.split.op_boundary > 0 && row.candidate.needs_server;
    CAPTURE(row.split.op_boundary);
    const std::uint64_t more = row.candidate.edge_ram_bytes - was.edge_ram_bytes;
    if (crosses) {
      CHECK(row.bytes_up < was.boundary_bytes);
      CHECK(row.bytes_up >= was.boundary_bytes / 2);
      CHECK(more >= row.bytes_up);
      CHECK(row.candidate.codec == static_cast<std::uint8_t>(fbs::Codec::F16));
    } else {
      CHECK(row.bytes_up == before.splits[i].bytes_up);
      CHECK(more == 0);
    }
    CHECK(coded.planner.ram_bytes_to_finish(row.split.op_boundary) ==
          raw.planner.ram_bytes_to_finish(row.split.op_boundary) + more);
  }
}

TEST_CASE("a lower clock makes the device's times longer in proportion, and a higher one shorter") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  bench.edge.clock_khz = 1'500'000;
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  const auto edge_ns = [&](std::uint32_t clock_khz) {
    bench.planner.set_device_speed({.clock_khz = clock_khz});
    const Plan plan = bench.decide(8'000'000, planner::Policy::kLatencyOnly);
    std::vector<std::uint64_t> ns;
    for (const PlannedSplit& row : plan.splits) {
      ns.push_back(row.candidate.edge_latency_ns);
      if (row.candidate.needs_server && row.split.op_boundary > 0) {
        CHECK(row.candidate.server_latency_ns <= 900'000);  // the server's are its own
      }
    }
    return ns;
  };
  using Times = std::vector<std::uint64_t>;
  const Times measured{500'000, 4'500'000, 5'500'000, 11'500'000, 13'500'000};
  CHECK(edge_ns(1'500'000) == measured);
  CHECK(edge_ns(600'000) == Times{1'250'000, 11'250'000, 13'750'000, 28'750'000, 33'750'000});
  CHECK(edge_ns(3'000'000) == Times{250'000, 2'250'000, 2'750'000, 5'750'000, 6'750'000});
  // Rounded up, each part by itself: input, then ops.
  CHECK(edge_ns(1'400'000)[1] == 535'715 + 4'285'715);
  CHECK(edge_ns(0) == measured);  // not known now
  bench.edge.clock_khz = 0;       // or not known then: a table of version 1
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  CHECK(edge_ns(600'000) == measured);
  // The slowest clock there can be against the fastest: longer than anything, never wrapped.
  bench.edge.clock_khz = UINT32_MAX;
  bench.edge.variants[0].op_median_ns.assign(4, kMaxProfileNs);
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  CHECK(edge_ns(1).back() == UINT64_MAX);
}

TEST_CASE("fewer cores than threads make the device's times longer; decoding has one thread") {
  SplitPlannerBench bench;
  bench.edge.cores = 4;
  bench.edge.variants[0].threads = 3;
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  const auto whole_ns = [&](std::uint32_t cores) {
    bench.planner.set_device_speed({.cores = cores});
    return bench.decide(8'000'000, planner::Policy::kEdgeOnly).decision.chosen.latency_ns;
  };
  CHECK(whole_ns(4) == 13'500'000);
  CHECK(whole_ns(3) == 13'500'000);
  CHECK(whole_ns(8) == 13'500'000);
  CHECK(whole_ns(2) == 500'000 + 13'000'000 * 3 / 2);
  CHECK(whole_ns(1) == 500'000 + 13'000'000 * 3);
}

TEST_CASE("a slower clock moves the cut towards the server, less memory makes it less deep") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  bench.edge.clock_khz = 1'500'000;
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  const auto split = [&](std::uint32_t clock_khz, const planner::Caps& caps = {}) {
    bench.planner.set_device_speed({.clock_khz = clock_khz});
    // 80 kbit/s: 10 bytes a millisecond.
    const Plan plan = bench.decide(80'000, planner::Policy::kLatencyOnly, caps);
    REQUIRE(plan.chosen);
    return plan.splits[*plan.chosen].split.layers_on_device;
  };
  CHECK(split(1'500'000) == 4);
  CHECK(split(100'000) == 0);
  const Plan all = bench.decide(80'000, planner::Policy::kLmos);
  const auto ram = [&](std::size_t k) { return all.splits[k].candidate.edge_ram_bytes; };
  CHECK(split(1'500'000, {.ram_bytes = ram(4) - 1}) < 4);
  CHECK(split(1'500'000, {.ram_bytes = ram(4)}) == 4);
}

TEST_CASE("without a server's table only the device is feasible") {
  const SplitPlannerBench bench;
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
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  const Plan plan = bench.decide(8'000'000, planner::Policy::kEdgeOnly, {.ram_bytes = kOverhead});
  CHECK_FALSE(plan.chosen.has_value());
  CHECK(plan.why.find("RAM") != std::string::npos);
}

TEST_CASE("a table of another network is refused") {
  SplitPlannerBench bench;
  ProfileData wrong = bench.edge;
  wrong.variants[0].op_median_ns.push_back(1);
  CHECK(bench.planner.set_edge_profile(wrong).code() == StatusCode::kMismatch);
  wrong = bench.server;
  wrong.variants[0].variant = "other";
  CHECK(bench.planner.set_server_profile(wrong).code() == StatusCode::kMismatch);
}

TEST_CASE("what is neither chosen nor on the front says by which split it is dominated") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  // The first layer's activation takes longer to send than the other layers to run.
  const Plan plan = bench.decide(800'000, planner::Policy::kLmos);
  REQUIRE(plan.dominated_by.size() == plan.splits.size());
  int dominated = 0;
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const planner::Score& score = plan.splits[i].score;
    if (score.on_front) CHECK_FALSE(plan.dominated_by[i].has_value());
    if (!plan.dominated_by[i]) continue;
    ++dominated;
    const planner::Score& by = plan.splits[*plan.dominated_by[i]].score;
    CHECK(by.on_front);
    CHECK(by.latency_ns <= score.latency_ns);
    CHECK(by.memory_bytes >= score.memory_bytes);
  }
  CHECK(dominated + static_cast<int>(plan.front.size()) == static_cast<int>(plan.splits.size()));
  CHECK(dominated > 0);
  // What is infeasible is dominated by nobody.
  const Plan capped = bench.decide(800'000, planner::Policy::kLmos, {.min_split = 4});
  for (std::size_t i = 0; i < 4; ++i) CHECK_FALSE(capped.dominated_by[i].has_value());
}

TEST_CASE("a million pictures of a split cost what the monthly model has for the same amounts") {
  SplitPlannerBench bench;
  // Seconds of server a picture, thousands of hours a million: the rounding of an hour adds up.
  for (std::uint64_t& ns : bench.server.variants[0].op_median_ns) ns *= 5'000;
  for (std::uint64_t& ns : bench.edge.variants[0].op_median_ns) ns *= 50;
  REQUIRE(bench.planner.set_edge_profile(bench.edge).is_ok());
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  TradeTexts texts;
  texts.objective = "cost";
  texts.price_instance = "7.527";
  texts.price_egress = "0.09";
  texts.price_energy = "0.20";
  const EnergyConstants board{
      .active_uw = 5'100'000, .idle_uw = 1'900'000, .radio_pj_per_byte = 120'000};
  const auto trade = read_trade(texts, board);
  REQUIRE_MESSAGE(trade.is_ok(), trade.status().message());
  planner::Conditions conditions;
  conditions.link = {.bandwidth_bps = 8'000'000, .rtt_ns = 1'000, .available = true};
  conditions.energy = trade->energy;
  conditions.prices = trade->prices;
  const Plan plan = bench.planner.decide({}, conditions, trade->request);

  const MonthlyPrices prices{.instance_micro_euro_per_month = 7'527'000,
                             .energy_micro_euro_per_kwh = 200'000,
                             .traffic_micro_euro_per_gb = 90'000};
  constexpr std::uint64_t kPictures = 1'000'000, kBudgetPpm = 950'000;
  constexpr std::uint64_t kHourNs = 3'600'000'000'000, kMicrojoulesPerMilliwattHour = 3'600'000;
  REQUIRE(plan.splits.size() == 5);
  for (const PlannedSplit& row : plan.splits) {
    CAPTURE(row.split.layers_on_device);
    const bool remote = row.candidate.needs_server;
    const std::uint64_t server_ns = remote ? row.candidate.server_latency_ns * kPictures : 0;
    const std::uint64_t bytes = remote ? row.candidate.boundary_bytes * kPictures : 0;
    const std::uint64_t server = server_time_micro_euro(prices, server_ns, kBudgetPpm);
    const std::uint64_t energy =
        energy_micro_euro(prices, row.score.energy_uj * kPictures / kMicrojoulesPerMilliwattHour);
    const std::uint64_t monthly = server + traffic_micro_euro(prices, bytes) + energy;
    CHECK((server > 1000) == remote);
    CHECK(energy > 1000);
    // Half a micro-euro of each hour's price, and one of each part.
    const std::uint64_t rounding = server_ns / kHourNs / 2 + 4;
    CHECK(row.score.cost_ueur + rounding >= monthly);
    CHECK(row.score.cost_ueur <= monthly + rounding);
    CHECK(rounding * 10'000 <= monthly);
  }
}

TEST_CASE("among several variants the plan is joint, and holds each to how often it differs") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  // The other one: half the time on the device, and other answers on 2 % of the pictures.
  SplitPlanner faster = bench.planner;
  ProfileData half = bench.edge;
  for (std::uint64_t& ns : half.variants[0].op_median_ns) ns /= 2;
  REQUIRE(faster.set_edge_profile(half).is_ok());
  faster.set_disagreement_ppm(20'000);
  const SplitPlanner* both[] = {&bench.planner, &faster};
  planner::Conditions conditions;
  conditions.link = {.bandwidth_bps = 100'000, .rtt_ns = 1'000, .available = true};
  const auto decide = [&](std::uint32_t allowed_ppm, planner::Policy policy) {
    conditions.caps.disagreement_ppm = allowed_ppm;
    return SplitPlanner::decide_among(both, {}, conditions, {.policy = policy});
  };
  const Plan exact = decide(19'999, planner::Policy::kLmos);
  REQUIRE(exact.splits.size() == 2 * bench.decide(1, planner::Policy::kLmos).splits.size());
  REQUIRE(exact.chosen == 4);
  CHECK(exact.splits[9].score.broken == planner::kBoundDisagreement);
  CHECK(exact.decision.chosen.latency_ns == 13'500'000);
  const Plan joint = decide(20'000, planner::Policy::kLmos);
  REQUIRE(joint.chosen == 9);
  CHECK(joint.decision.chosen.latency_ns == 7'000'000);  // 0.5 of the picture, 13 / 2 of the ops
  // Both are called as the model calls its one variant here.
  CHECK(joint.why.find("split 4 (") == 0);
  CHECK(joint.why.find(") in " + faster.variant_name()) != std::string::npos);
  REQUIRE(joint.dominated_by[4].has_value());
  CHECK(*joint.dominated_by[4] == 9);
  // What the server has no table of can only be run alone.
  const SplitPlanner unknown = SplitPlannerBench().planner;
  const SplitPlanner* one_without[] = {&bench.planner, &unknown};
  const Plan partly = SplitPlanner::decide_among(one_without, {}, conditions, {});
  REQUIRE(partly.splits.size() == 6);
  CHECK(partly.splits[0].score.broken == 0);
  CHECK_FALSE(partly.splits[5].candidate.needs_server);
  const SplitPlanner* first_without[] = {&unknown, &bench.planner};
  const Plan alone = SplitPlanner::decide_among(first_without, {}, conditions, {});
  REQUIRE(alone.splits.size() == 10);
  CHECK(alone.splits[0].score.broken == planner::kBoundServerAbsent);
  REQUIRE(alone.chosen.has_value());
}

TEST_CASE("knee and least are picked from the front, and say so") {
  SplitPlannerBench bench;
  REQUIRE(bench.planner.set_server_profile(bench.server).is_ok());
  planner::Conditions conditions;
  conditions.link = {.bandwidth_bps = 8'000'000, .rtt_ns = 1'000, .available = true};
  conditions.energy = {.compute_uw = 5'000'000, .radio_pj_per_byte = 100'000, .idle_uw = 1'000'000};
  planner::Request request;
  request.objectives.optimized = planner::Objective::kEnergy;
  const Plan least = bench.planner.decide({}, conditions, request, {}, FrontPick::kBest);
  REQUIRE(least.chosen.has_value());
  for (const PlannedSplit& row : least.splits) {
    CHECK(least.splits[*least.chosen].score.energy_uj <= row.score.energy_uj);
  }
  CHECK(least.decision.chosen.energy_uj == least.splits[*least.chosen].score.energy_uj);
  CHECK(least.why.find("is the one of least energy (modelled) of all, at ") != std::string::npos);
  CHECK(least.why.find(" mJ; the fastest takes ") != std::string::npos);
  const Plan knee = bench.planner.decide({}, conditions, request, {}, FrontPick::kKnee);
  REQUIRE(knee.chosen.has_value());
  CHECK(knee.splits[*knee.chosen].score.on_front);
  CHECK(knee.why.find("is the knee of the front") != std::string::npos);
  // Of baselines nothing is picked, nor where nothing is feasible.
  request.policy = planner::Policy::kEdgeOnly;
  CHECK(bench.planner.decide({}, conditions, request, {}, FrontPick::kBest)
            .why.find("everything on the device") == 0);
  request.policy = planner::Policy::kLmos;
  conditions.caps.deadline_ns = 1;
  const Plan none = bench.planner.decide({}, conditions, request, {}, FrontPick::kBest);
  CHECK_FALSE(none.chosen.has_value());
  CHECK(none.why.find("deadline") != std::string::npos);
}

}  // namespace cleave::agent
