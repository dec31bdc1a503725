// SPDX-License-Identifier: Apache-2.0
//
// Codecs as candidates of the planner: what is known of each, and what is chosen.
#include "agent/cut_codecs.h"

#include <doctest/doctest.h>

#include "agent/codec_option.h"
#include "agent/online_planner.h"
#include "tests/agent/online_bench.h"
#include "tests/engine/codec/codec_fixture.h"

namespace cleave::agent {
namespace {

using namespace testing;

constexpr CodecChoice kRaw{};
constexpr CodecChoice kLossless{.codec = fbs::Codec::Lossless};
constexpr CodecChoice kF16{.codec = fbs::Codec::F16};
constexpr CodecChoice kFine{.codec = fbs::Codec::Coded};
constexpr CodecChoice kCoarse{.codec = fbs::Codec::Coded, .quality = 1};

const CutCodec& codec_at(const CutCodecs& codecs, OpIndex cut, const CodecChoice& choice) {
  const auto at = std::ranges::find(codecs.cuts(), cut, &CodecsAtCut::op_boundary);
  REQUIRE(at != codecs.cuts().end());
  const auto found = std::ranges::find(at->codecs, choice, &CutCodec::choice);
  REQUIRE(found != at->codecs.end());
  return *found;
}

CodedBytes measured(const CodecChoice& choice, std::vector<std::uint32_t> cuts,
                    std::vector<std::uint64_t> bytes) {
  CodedBytes coded{.variant = "f32",
                   .codec = static_cast<std::uint8_t>(choice.codec),
                   .op_boundary = std::move(cuts),
                   .median_bytes = bytes,
                   .p95_bytes = bytes,
                   .quality = choice.quality};
  coded.encode_ns.assign(bytes.size(), 5'000);
  return coded;
}

// The calibrated model of the codec tests, whose levels were made for 1 % and 5 %.
std::shared_ptr<const ModelFile> calibrated(bool says_for_what) {
  test::ModelBuilder builder({7, 5, 3});
  const test::Tensor a = builder.conv2d(builder.input(), 11, test::WindowSpec{});
  builder.softmax(builder.fully_connected(builder.sigmoid(a), 6));
  (void)test::open_calibrated(builder);
  for (auto& table : builder.draft().codec_tables) {
    if (says_for_what) table->disagreement_ppm = {10'000, 50'000};
  }
  return test::open_model(builder);
}

// At the cut behind the first op raw takes 3072 bytes, coded 300 bytes and 1 ms more on each side.
CutCodecs raw_or_coded(std::uint32_t disagreement_ppm) {
  return CutCodecs({{.op_boundary = 1,
                     .codecs = {{.choice = kRaw, .bytes = 3'072},
                                {.choice = kFine,
                                 .bytes = 300,
                                 .ram_bytes = 4'000,
                                 .encode_ns = kMillisecond,
                                 .disagreement_ppm = disagreement_ppm}}}});
}

struct PlannedCodecs {
  OnlineBench bench;
  planner::Conditions conditions;

  explicit PlannedCodecs(const CutCodecs& codecs) {
    REQUIRE(bench.splits->use_codecs(codecs).is_ok());
    const HandshakeSeen seen = bench.handshake();
    REQUIRE(bench.splits->set_server_table(seen.op_ns, seen.input_ns, {0, kMillisecond}).is_ok());
    conditions.caps.min_split = 1;  // the picture itself does not travel
  }

  [[nodiscard]] Plan plan(std::uint64_t bandwidth_bps) {
    conditions.link = {.bandwidth_bps = bandwidth_bps, .rtt_ns = 0, .available = true};
    return bench.splits->decide({}, conditions, {.policy = planner::Policy::kLatencyOnly});
  }
  [[nodiscard]] PlannedSplit chosen(std::uint64_t bandwidth_bps) {
    const Plan made = plan(bandwidth_bps);
    REQUIRE(made.chosen.has_value());
    return made.splits[*made.chosen];
  }
};

}  // namespace

TEST_CASE("a codec and its level fit in the planner's number") {
  for (const CodecChoice& choice : {kRaw, kLossless, kF16, kFine, kCoarse,
                                    CodecChoice{.codec = fbs::Codec::Coded, .quality = 7}}) {
    CHECK(unpack_codec(pack_codec(choice)) == choice);
  }
  CHECK(pack_codec(kF16) == static_cast<std::uint8_t>(fbs::Codec::F16));
}

TEST_CASE("on a slow link coded is chosen and on a fast one raw") {
  PlannedCodecs planned(raw_or_coded(10'000));
  planned.conditions.caps.disagreement_ppm = 10'000;
  const PlannedSplit slow = planned.chosen(1'000'000);
  CHECK(slow.split.op_boundary == 1);
  CHECK(slow.codec() == kFine);
  CHECK(slow.bytes_up == 300);
  CHECK(slow.candidate.edge_latency_ns == 2 * kMillisecond + 10 * kMillisecond + kMillisecond);
  CHECK(slow.candidate.server_latency_ns == 3 * kMillisecond + kMillisecond);
  const PlannedSplit fast = planned.chosen(1'000'000'000);
  CHECK(fast.split.op_boundary == 1);
  CHECK(fast.codec() == kRaw);
  CHECK(fast.candidate.edge_ram_bytes + 4'000 == slow.candidate.edge_ram_bytes);
  // As does what may have to be held at that cut.
  CHECK(planned.bench.splits->cost_at(1).edge_ram_bytes == slow.candidate.edge_ram_bytes);
  CHECK(planned.plan(1'000'000).why.find(" as coded:0 has the least latency") != std::string::npos);
}

TEST_CASE("a codec that changes more answers than allowed, or not known how many, is not chosen") {
  for (const std::uint32_t ppm : {10'001U, UINT32_MAX}) {
    PlannedCodecs planned(raw_or_coded(ppm));
    planned.conditions.caps.disagreement_ppm = 10'000;
    const Plan plan = planned.plan(1'000'000);
    REQUIRE(plan.chosen.has_value());
    CHECK(plan.splits[*plan.chosen].codec() == kRaw);
    const auto coded = std::ranges::find(plan.splits, kFine, &PlannedSplit::codec);
    REQUIRE(coded != plan.splits.end());
    CHECK(coded->score.broken == planner::kBoundDisagreement);
  }
}

TEST_CASE("the memory of a codec counts for its row alone") {
  PlannedCodecs planned(raw_or_coded(0));
  const std::uint64_t coded_ram = planned.chosen(1'000'000).candidate.edge_ram_bytes;
  planned.conditions.caps.ram_bytes = coded_ram - 1;
  CHECK(planned.chosen(1'000'000).codec() == kRaw);
}

TEST_CASE("with a server that takes no codecs everything is planned raw") {
  PlannedCodecs planned(raw_or_coded(0));
  planned.bench.splits->set_server_takes_codecs(false);
  const Plan plan = planned.plan(1'000'000);
  CHECK(std::ranges::all_of(plan.splits,
                            [](const PlannedSplit& row) { return row.codec() == kRaw; }));
  CHECK(plan.splits.size() == 5);
}

TEST_CASE("codecs that use all of the planner's room have a row each") {
  const OnlineBench bench;
  // The picture as pixels and as it is, and the device alone.
  const std::size_t room = planner::kMaxCandidates - 3;
  std::vector<CodecsAtCut> cuts;
  for (const OpIndex cut : {OpIndex{1}, OpIndex{2}, OpIndex{3}}) {
    const std::size_t here = cut < 3 ? room / 3 : room - 2 * (room / 3);
    cuts.push_back({.op_boundary = cut,
                    .codecs = std::vector<CutCodec>(here, {.choice = kRaw, .bytes = 1'000})});
  }
  REQUIRE(bench.splits->use_codecs(CutCodecs(std::move(cuts))).is_ok());
  REQUIRE(bench.splits->set_server_table(bench.server_op_ns, 0).is_ok());
  planner::Conditions conditions;
  conditions.link = {.bandwidth_bps = 1'000'000, .rtt_ns = 0, .available = true};
  const Plan plan = bench.splits->decide({.is_jpeg = true, .file_bytes = 1'000}, conditions,
                                         {.policy = planner::Policy::kLatencyOnly});
  CHECK(plan.splits.size() == planner::kMaxCandidates);
  CHECK(plan.chosen.has_value());
}

TEST_CASE("codecs of a cut where no layer ends, and times of other codecs, are refused") {
  const OnlineBench bench;
  for (const OpIndex cut : {OpIndex{0}, OpIndex{4}, OpIndex{9}}) {
    const CutCodecs wrong({{.op_boundary = cut, .codecs = {{.choice = kRaw, .bytes = 1}}}});
    CHECK(bench.splits->use_codecs(wrong).code() == StatusCode::kMismatch);
  }
  REQUIRE(bench.splits->use_codecs(raw_or_coded(0)).is_ok());
  CHECK(bench.splits->set_server_table(bench.server_op_ns, 0, {1}).code() == StatusCode::kMismatch);
}

TEST_CASE("the codec follows the link from picture to picture while the split is held") {
  const OnlineBench bench;
  REQUIRE(bench.splits->use_codecs(raw_or_coded(0)).is_ok());
  OnlineOptions options = least_latency();
  options.keep_link = options.keep_rtt = true;
  std::optional<CodecChoice> seen[2];
  for (const bool is_fast : {false, true}) {
    options.initial_link.bandwidth_bps = is_fast ? 1'000'000'000 : 1'000'000;
    OnlinePlanner planner(bench.splits.get(), options);
    HandshakeSeen handshake = bench.handshake();
    handshake.decode_ns = {0, kMillisecond};
    REQUIRE(planner.take_handshake(handshake).is_ok());
    Situation situation = reached_at(1);
    situation.caps.min_split = 1;
    const auto choice = planner.choose(situation);
    REQUIRE(choice.is_ok());
    CHECK(choice->split.op_boundary == 1);
    seen[is_fast ? 1 : 0] = choice->codec;
    // What decoding takes is in the table: it is not waited for in a queue as well.
    Outcome outcome;
    outcome.now_ns = 2;
    outcome.op_boundary = 1;
    outcome.codec = choice->codec;
    outcome.bytes_up = 3'072;
    outcome.link_ns = kMillisecond;
    outcome.compute_ns = 3 * kMillisecond;
    outcome.decode_ns = is_fast ? 0 : kMillisecond;
    outcome.residence_ns = outcome.compute_ns + outcome.decode_ns;
    planner.observe(outcome);
    CHECK(planner.link_at(3, true).server_queue_ns == 0);
    handshake.takes_codecs = false;
    REQUIRE(planner.take_handshake(handshake).is_ok());
    const auto without = planner.choose(situation);
    REQUIRE(without.is_ok());
    CHECK(without->codec == kRaw);
  }
  CHECK(seen[0] == kFine);
  CHECK(seen[1] == kRaw);
}

TEST_CASE("one codec: where it applies, with the most it makes, or what calibration measured") {
  const auto model = calibrated(true);
  const auto f16 = CutCodecs::of_one(*model, 0, kF16);
  REQUIRE(f16.is_ok());
  CHECK_FALSE(f16->chooses());
  CHECK(codec_at(*f16, 1, kF16).bytes == 7 * 5 * 11 * 2);
  CHECK(codec_at(*f16, 1, kF16).disagreement_ppm == 0);  // the user wants it
  const auto coded = CutCodecs::of_one(*model, 0, kCoarse);
  REQUIRE(coded.is_ok());
  CHECK(codec_at(*coded, 1, kCoarse).bytes == 500);
  CHECK(codec_at(*coded, 1, kCoarse).p95_bytes == 700);
  CHECK(CutCodecs::of_one(*model, 0, {.codec = fbs::Codec::Coded, .quality = 2}).status().code() ==
        StatusCode::kNotFound);
  const auto raw = CutCodecs::of_one(*model, 0, kRaw);
  REQUIRE(raw.is_ok());
  CHECK(raw->cuts().empty());
}

TEST_CASE("all codecs: coded counts as its table was made, unless the table does not say") {
  const EncodeRates rates{{pack_codec(kLossless), {.ns = 3, .tensor_bytes = 2}}};
  const auto all = CutCodecs::of_all(*calibrated(true), 0, {.rates = &rates});
  REQUIRE(all.is_ok());
  CHECK(all->chooses());
  CHECK(codec_at(*all, 1, kRaw).disagreement_ppm == 0);
  CHECK(codec_at(*all, 1, kLossless).disagreement_ppm == 0);
  CHECK(codec_at(*all, 1, kF16).disagreement_ppm == UINT32_MAX);
  // Made for 1 %, but calibration counted 3 of 100; made for 5 %.
  CHECK(codec_at(*all, 1, kFine).disagreement_ppm == 30'000);
  CHECK(codec_at(*all, 1, kCoarse).disagreement_ppm == 50'000);
  CHECK(codec_at(*all, 1, kCoarse).bytes == 500);
  for (const CodecsAtCut& cut : all->cuts()) {
    for (const CutCodec& codec : cut.codecs) {
      CHECK((codec.encode_ns > 0) == (codec.choice == kLossless));  // of others not known
    }
  }
  const auto unknown = CutCodecs::of_all(*calibrated(false), 0, {});
  REQUIRE(unknown.is_ok());
  CHECK(codec_at(*unknown, 1, kFine).disagreement_ppm == UINT32_MAX);
}

TEST_CASE("what the profile does not time is timed once, and scaled to the speed of its table") {
  const auto model = calibrated(true);
  const auto all = measure_encode_rates(*model, 0, nullptr, {});
  REQUIRE(all.is_ok());
  for (const CodecChoice& choice : {kLossless, kF16, kFine, kCoarse}) {
    CHECK(all->contains(pack_codec(choice)));
  }
  CHECK_FALSE(all->contains(pack_codec(kRaw)));
  ProfileData profile;
  profile.coded.push_back(measured(kFine, {1, 2, 3}, {1, 1, 1}));
  profile.coded.push_back(measured(kF16, {2}, {1}));  // not at the others
  profile.clock_khz = UINT32_MAX;
  const auto slow = measure_encode_rates(*model, 0, &profile, {.clock_khz = 1});
  REQUIRE(slow.is_ok());
  CHECK_FALSE(slow->contains(pack_codec(kFine)));
  REQUIRE(slow->contains(pack_codec(kF16)));
  CHECK(slow->at(pack_codec(kF16)).ns == 1);  // of less than 4 s, at the fastest clock there is
  profile.clock_khz = 1;
  const auto fast = measure_encode_rates(*model, 0, &profile, {.clock_khz = UINT32_MAX});
  REQUIRE(fast.is_ok());
  CHECK(fast->at(pack_codec(kF16)).ns >= UINT32_MAX);
}

TEST_CASE("what a profile measured goes before tables and bounds") {
  const auto model = calibrated(true);
  ProfileData profile;
  profile.coded.push_back(measured(kFine, {1, 2}, {111, 222}));
  profile.coded.back().pictures = profile.coded.back().compared_pictures = 199;
  profile.coded.back().differing_pictures = {0, 1};
  profile.coded.push_back(measured(kF16, {2}, {333}));  // timed alone: no pictures
  const auto all =
      CutCodecs::of_all(*model, 0, {.profile = &profile, .variant_disagreement_ppm = 1'000});
  REQUIRE(all.is_ok());
  CHECK(codec_at(*all, 1, kFine).bytes == 111);
  CHECK(codec_at(*all, 1, kFine).encode_ns == 5'000);
  CHECK(codec_at(*all, 1, kFine).disagreement_ppm == 1'000 + 5'000);  // (0 + 1) / 200
  CHECK(codec_at(*all, 2, kFine).disagreement_ppm == 1'000 + 10'000);
  CHECK(codec_at(*all, 1, kCoarse).disagreement_ppm == 1'000 + 50'000);
  CHECK(codec_at(*all, 2, kF16).encode_ns == 5'000);
  CHECK(codec_at(*all, 2, kF16).bytes == 7 * 5 * 11 * 2);
  CHECK(codec_at(*all, 2, kF16).disagreement_ppm == UINT32_MAX);
  CHECK(codec_at(*all, 1, kLossless).disagreement_ppm == 0);
}

TEST_CASE("a server's times belong to the codecs by cut and level") {
  ProfileData server;
  server.coded.push_back(measured(kFine, {1, 3}, {1, 1}));
  server.coded.back().decode_ns = {70, 80};
  const CutCodecs codecs({{.op_boundary = 1, .codecs = {{.choice = kRaw}, {.choice = kFine}}},
                          {.op_boundary = 2, .codecs = {{.choice = kFine}}},
                          {.op_boundary = 3, .codecs = {{.choice = kCoarse}, {.choice = kFine}}}});
  CHECK(decode_times(codecs, server, "f32") == std::vector<std::uint64_t>{0, 70, 0, 0, 80});
  CHECK(decode_times(codecs, server, "other") == std::vector<std::uint64_t>{0, 0, 0, 0, 0});
}

}  // namespace cleave::agent
