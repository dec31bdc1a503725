// SPDX-License-Identifier: Apache-2.0
//
// Pictures that go as a JPEG at model size: what is known of them, when they are planned, and what
// is sent.
#include "agent/model_jpeg.h"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>

#include "agent/codec_option.h"
#include "agent/codec_survey.h"
#include "agent/cut_codecs.h"
#include "engine/image/picture.h"
#include "schemas/protocol.h"
#include "tests/agent/online_bench.h"
#include "tests/agent/pipeline_bench.h"

namespace cleave::agent {
namespace {

using namespace testing;
using test::ScriptedPeer;
using test::ScriptedServer;

constexpr std::uint32_t kInputSide = 64;
constexpr std::size_t kInputBytes = std::size_t{kInputSide} * kInputSide * 3;

constexpr CodecChoice jpeg_of(std::uint8_t quality) {
  return {.codec = fbs::Codec::JpegModelSize, .quality = quality};
}

CodedBytes profiled_jpeg(std::uint8_t quality, std::uint64_t bytes, std::uint32_t differing) {
  return {.variant = "f32",
          .codec = static_cast<std::uint8_t>(fbs::Codec::JpegModelSize),
          .op_boundary = {0},
          .median_bytes = {bytes},
          .p95_bytes = {2 * bytes},
          .quality = quality,
          .pictures = 99,
          .encode_ns = {kMillisecond},
          .compared_pictures = 99,
          .differing_pictures = {differing}};
}

// 75 takes 10 kB and changes 9 of 99 answers, 90 takes 20 kB and 1.
ProfileData jpeg_profile() {
  ProfileData profile;
  profile.coded = {profiled_jpeg(75, 10'000, 9), profiled_jpeg(90, 20'000, 1)};
  return profile;
}

CutCodecs jpegs(const OnlineBench& bench, const ProfileData& profile, JpegBound bound) {
  const CodecKnowledge known{.profile = &profile};
  return CutCodecs().with_model_jpegs(*bench.model, 0, kModelJpegQualities, known, bound);
}

struct PlannedJpegs {
  OnlineBench bench;
  planner::Conditions conditions;

  explicit PlannedJpegs(JpegBound bound = JpegBound::kOnlyKnown) {
    REQUIRE(bench.splits->use_codecs(jpegs(bench, jpeg_profile(), bound)).is_ok());
    const HandshakeSeen seen = bench.handshake();
    const std::vector<std::uint64_t> decode_ns(bound == JpegBound::kOnlyKnown ? 2 : 3,
                                               kMillisecond / 2);
    REQUIRE(bench.splits->set_server_table(seen.op_ns, seen.input_ns, decode_ns).is_ok());
  }
  [[nodiscard]] Plan plan(std::uint64_t bandwidth_bps, std::uint32_t allowed_ppm) {
    conditions.link = {.bandwidth_bps = bandwidth_bps, .rtt_ns = 0, .available = true};
    conditions.caps.disagreement_ppm = allowed_ppm;
    return bench.splits->decide({.is_jpeg = true, .file_bytes = 100'000}, conditions,
                                {.policy = planner::Policy::kServerOnly});
  }
  [[nodiscard]] PlannedSplit chosen(std::uint64_t bandwidth_bps, std::uint32_t allowed_ppm) {
    const Plan made = plan(bandwidth_bps, allowed_ppm);
    REQUIRE(made.chosen.has_value());
    return made.splits[*made.chosen];
  }
};

// What a scripted server was asked.
struct Asked {
  fbs::Codec codec;
  std::uint64_t id;
  unsigned quality;
  std::size_t bytes;
};

// Answers everything; but for the first connection's request of number `lost`, at which that ends.
ScriptedServer recording_server(const PipelineBench& bench, std::uint64_t features,
                                std::vector<Asked>& asked, std::size_t lost = 0,
                                std::uint64_t max_picture_bytes = 1 << 20) {
  return ScriptedServer(
      [&bench, &asked, features, lost, max_picture_bytes](ScriptedPeer& peer, int connection) {
        peer.greet(bench.model->identity(), max_picture_bytes, bench.ops, features);
        while (const fbs::Envelope* envelope = peer.receive()) {
          const fbs::Request* request = envelope->message_as_Request();
          if (request == nullptr) continue;
          const std::uint64_t id = request->request_id();
          asked.push_back({request->codec(), id, request->quality(), peer.attachment_bytes()});
          if (connection == 0 && asked.size() == lost) return;
          peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
        }
      });
}

PipelineOptions as_jpeg(std::uint8_t quality) {
  PipelineOptions options;
  options.codec = jpeg_of(quality);
  return options;
}

// What the picture of a bench is as a JPEG at model size.
std::uint64_t jpeg_bytes_of(const PipelineBench& bench, std::uint8_t quality) {
  const fbs::Shape shape(kInputSide, kInputSide, 3);
  const auto file = read_picture_file(bench.picture, PictureLimits{});
  REQUIRE(file.is_ok());
  std::vector<std::uint8_t> pixels(kInputBytes);
  const fbs::Preprocessing& preprocessing = *bench.model->header().preprocessing();
  REQUIRE(decode_to_model_size(*file, preprocessing, shape, PictureLimits{}, pixels).is_ok());
  return model_jpeg_bytes(pixels, shape, preprocessing.color_order(), quality);
}

}  // namespace

TEST_CASE("what a JPEG's quality is called, and what is none") {
  CHECK(codec_name(jpeg_of(90)) == "jpeg:90");
  CHECK(find_codec("jpeg:1") == jpeg_of(1));
  CHECK(find_codec("jpeg:100") == jpeg_of(100));
  for (const char* none :
       {"jpeg", "jpeg:", "jpeg:0", "jpeg:101", "jpeg:256", "jpeg:9x", "f16:90"}) {
    CAPTURE(none);
    CHECK_FALSE(find_codec(none).has_value());
  }
}

TEST_CASE("a better quality is estimated to take more bytes, and a photo's the usual ones") {
  std::uint64_t last = 0;
  for (unsigned quality = 1; quality <= 100; ++quality) {
    const std::uint64_t bytes = estimated_jpeg_bytes(224 * 224, quality);
    CHECK(bytes > last);
    last = bytes;
  }
  CHECK(estimated_jpeg_bytes(224 * 224, 90) == doctest::Approx(16'300).epsilon(0.02));
  CHECK(last < 224 * 224 * 3);
}

TEST_CASE("of qualities that no profile has tried, only one that is named is planned") {
  const OnlineBench bench;
  const ProfileData profile = jpeg_profile();
  const CutCodecs known = jpegs(bench, profile, JpegBound::kOnlyKnown);
  REQUIRE(known.cuts().size() == 1);
  CHECK(known.cuts()[0].op_boundary == 0);
  REQUIRE(known.cuts()[0].codecs.size() == 2);
  const CutCodec& first = known.cuts()[0].codecs[0];
  CHECK(first.choice == jpeg_of(75));
  CHECK(first.bytes == 10'000);
  CHECK(first.p95_bytes == 20'000);
  CHECK(first.encode_ns == kMillisecond);
  CHECK(first.disagreement_ppm == 100'000);  // one more than differ, of a hundred
  CHECK(first.ram_bytes > 256 * 256 * 3);
  CHECK(known.cuts()[0].codecs[1].disagreement_ppm == 20'000);
  const CutCodecs as_known = jpegs(bench, profile, JpegBound::kAsKnown);
  REQUIRE(as_known.cuts()[0].codecs.size() == 3);
  CHECK(as_known.cuts()[0].codecs[2].disagreement_ppm == UINT32_MAX);
  CHECK(as_known.cuts()[0].codecs[2].bytes == estimated_jpeg_bytes(256 * 256, 95));
  const CutCodecs named = jpegs(bench, profile, JpegBound::kNone);
  for (const CutCodec& codec : named.cuts()[0].codecs) CHECK(codec.disagreement_ppm == 0);
  CHECK(jpegs(bench, {}, JpegBound::kOnlyKnown).cuts().empty());
}

TEST_CASE("what the pictures at hand take counts before what a profile's did") {
  const OnlineBench bench;
  const ProfileData profile = jpeg_profile();
  const ModelJpegBytes at_hand[] = {{.quality = 90, .median_bytes = 30'000, .p95_bytes = 31'000}};
  const CodecKnowledge known{.profile = &profile, .jpegs = at_hand};
  const CutCodecs codecs = CutCodecs().with_model_jpegs(*bench.model, 0, kModelJpegQualities, known,
                                                        JpegBound::kOnlyKnown);
  CHECK(codecs.cuts()[0].codecs[0].bytes == 10'000);
  CHECK(codecs.cuts()[0].codecs[1].bytes == 30'000);
  CHECK(codecs.cuts()[0].codecs[1].p95_bytes == 31'000);
}

TEST_CASE(
    "on a slow link the JPEG is planned that has the fewest bytes of those that are allowed") {
  PlannedJpegs planned;
  constexpr std::uint64_t kSlow = 1'000'000, kFast = 100'000'000'000;
  const PlannedSplit least = planned.chosen(kSlow, 100'000);
  CHECK(least.codec() == jpeg_of(75));
  CHECK(least.bytes_up == 10'000);
  CHECK(std::string(least.picture_form()) == "JPEG at model size");
  // Decoding and resizing, then a millisecond for the encoder; there half of one.
  CHECK(least.candidate.edge_latency_ns == 3 * kMillisecond);
  CHECK(least.candidate.server_latency_ns == 4 * kMillisecond + kMillisecond / 2);
  CHECK_FALSE(least.candidate.sends_jpeg);  // that is the file
  CHECK(planned.plan(kSlow, 100'000).why.find("(JPEG at model size as jpeg:75)") !=
        std::string::npos);
  CHECK(planned.chosen(kSlow, 99'999).codec() == jpeg_of(90));
  const PlannedSplit exact = planned.chosen(kSlow, 19'999);
  CHECK(exact.codec() == CodecChoice{});
  CHECK(exact.candidate.sends_jpeg);
  CHECK(planned.chosen(kSlow, 0).candidate.sends_jpeg);
  CHECK(planned.chosen(kFast, 1'000'000).codec() == CodecChoice{});
  for (const PlannedSplit& row : planned.plan(kSlow, 19'999).splits) {
    if (row.codec() != CodecChoice{}) CHECK(row.score.broken == planner::kBoundDisagreement);
  }
}

TEST_CASE("a quality whose changed answers are not known is never within a bound") {
  PlannedJpegs planned(JpegBound::kAsKnown);
  const Plan plan = planned.plan(1'000'000, 1'000'000);
  const auto unknown = std::ranges::find(plan.splits, jpeg_of(95), &PlannedSplit::codec);
  REQUIRE(unknown != plan.splits.end());
  CHECK(unknown->score.broken == planner::kBoundDisagreement);
}

TEST_CASE("its memory counts, for its own rows and for what may have to be held at cut 0") {
  PlannedJpegs planned;
  const Plan plan = planned.plan(1'000'000, 1'000'000);
  const std::uint64_t pixels = plan.splits[0].candidate.edge_ram_bytes;
  const std::uint64_t jpeg = plan.splits[*plan.chosen].candidate.edge_ram_bytes;
  CHECK(jpeg == pixels + 256 * 256 * 3 + jpeg_encoder_bytes(256));
  CHECK(planned.bench.splits->cost_at(0).edge_ram_bytes == jpeg);
  planned.conditions.caps.ram_bytes = jpeg - 1;
  CHECK(planned.chosen(1'000'000, 1'000'000).codec() == CodecChoice{});
}

TEST_CASE("with a server that does not take them there are none, whatever codecs it has") {
  PlannedJpegs planned;
  planned.bench.splits->set_server_takes_model_jpegs(false);
  const Plan plan = planned.plan(1'000'000, 1'000'000);
  CHECK(std::ranges::all_of(plan.splits,
                            [](const PlannedSplit& row) { return row.codec() == CodecChoice{}; }));
  CHECK(plan.splits.size() == 6);
}

TEST_CASE("JPEGs at another cut than 0, and tensors there, are no codecs of theirs") {
  const OnlineBench bench;
  const CutCodecs jpeg_at_1({{.op_boundary = 1, .codecs = {{.choice = jpeg_of(90)}}}});
  CHECK(bench.splits->use_codecs(jpeg_at_1).code() == StatusCode::kMismatch);
  const CutCodecs f16_at_0(
      {{.op_boundary = 0, .codecs = {{.choice = {.codec = fbs::Codec::F16}}}}});
  CHECK(bench.splits->use_codecs(f16_at_0).code() == StatusCode::kMismatch);
  CHECK(bench.splits->codecs().cuts().empty());
}

TEST_CASE("the planner of a run learns that its server takes none, and says what is sent") {
  const OnlineBench bench;
  REQUIRE(bench.splits->use_codecs(jpegs(bench, jpeg_profile(), JpegBound::kNone)).is_ok());
  OnlineOptions options = least_latency();
  options.keep_link = true;
  options.initial_link.bandwidth_bps = 1'000'000;
  options.request.policy = planner::Policy::kServerOnly;
  OnlinePlanner planner(bench.splits.get(), options);
  HandshakeSeen seen = bench.handshake();
  seen.decode_ns = {kMillisecond, kMillisecond, kMillisecond};
  REQUIRE(planner.take_handshake(seen).is_ok());
  const auto choice = planner.choose(reached_at(0));
  REQUIRE(choice.is_ok());
  CHECK(choice->codec == jpeg_of(75));
  CHECK_FALSE(choice->sends_file);
  // At a given split 0 the form that is named.
  const PartTimes named = planner.predict(reached_at(0), {0, 0}, jpeg_of(90));
  const PartTimes file = planner.predict(reached_at(0), {0, 0});
  CHECK(named.link_ns == 161 * kMillisecond);  // of 20,000 bytes, and the round trip
  CHECK(file.link_ns == 801 * kMillisecond);
  seen.takes_model_jpegs = false;
  REQUIRE(planner.take_handshake(seen).is_ok());
  const auto exact = planner.choose(reached_at(10'000'000'000));
  REQUIRE(exact.is_ok());
  CHECK(exact->codec == CodecChoice{});
  CHECK(exact->sends_file);
}

TEST_CASE("at split 0 with a quality the picture goes as a JPEG at model size") {
  const PipelineBench bench(1, 4, kInputSide);
  std::vector<Asked> asked;
  {
    const ScriptedServer server = recording_server(bench, kFeatureJpegModelSize, asked);
    const std::vector<Record> records = bench.process(server, 0, 2, as_jpeg(60));
    for (const Record& record : records) {
      REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
      CHECK(record.sent == kSentModelJpeg);
      CHECK(record.codec == "jpeg:60");
      CHECK(record.bytes_up == jpeg_bytes_of(bench, 60));
      CHECK(record.encode_ns > 0);
    }
  }
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].codec == fbs::Codec::JpegModelSize);
  CHECK(asked[0].quality == 0);  // the JPEG says it
  CHECK(asked[0].bytes == jpeg_bytes_of(bench, 60));
  CHECK(asked[0].bytes < kInputBytes);
  CHECK(asked[0].id != asked[1].id);
}

TEST_CASE("resent after a break it is the same request with the same bytes") {
  const PipelineBench bench(1, 4, kInputSide);
  std::vector<Asked> asked;
  {
    const ScriptedServer server =
        recording_server(bench, kFeatureJpegModelSize | kFeatureResend, asked, 2);
    for (const Record& record : bench.process(server, 0, 2, as_jpeg(60))) {
      REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
      CHECK(record.fallback.empty());
      CHECK(record.sent == kSentModelJpeg);
    }
  }
  REQUIRE(asked.size() == 3);
  for (const Asked& each : asked) {
    CHECK(each.codec == fbs::Codec::JpegModelSize);
    CHECK(each.bytes == asked[0].bytes);
  }
  CHECK(asked[1].id == asked[2].id);
  CHECK(asked[0].id != asked[1].id);
}

TEST_CASE("a server that does not offer it gets the file or pixels") {
  const PipelineBench bench(1, 4, kInputSide);
  const auto sent_to = [&](std::uint64_t features, std::uint64_t max_picture_bytes) {
    std::vector<Asked> asked;
    std::string sent;
    {
      const ScriptedServer server = recording_server(bench, features, asked, 0, max_picture_bytes);
      const Record record = bench.process(server, 0, 1, as_jpeg(60)).at(0);
      REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
      CHECK(record.codec.empty());
      sent = record.sent;
    }
    REQUIRE(asked.size() == 1);
    CHECK((asked[0].codec == fbs::Codec::Jpeg || asked[0].codec == fbs::Codec::PixelsU8));
    return sent;
  };
  REQUIRE(bench.file_bytes < kInputBytes);
  CHECK(sent_to(kFeatureBoundaryCodecs, 1 << 20) == kSentJpeg);
  CHECK(sent_to(0, bench.file_bytes - 1) == kSentPixels);
}

TEST_CASE("a JPEG of more bytes than the pixels is not sent") {
  const PipelineBench bench;  // 8 x 8: its tables alone are more
  std::vector<Asked> asked;
  {
    const ScriptedServer server = recording_server(bench, kFeatureJpegModelSize, asked);
    const Record record = bench.process(server, 0, 1, as_jpeg(60)).at(0);
    REQUIRE_MESSAGE(record.status.is_ok(), record.status.message());
    CHECK(record.sent == kSentPixels);
    CHECK(record.codec.empty());
  }
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].codec == fbs::Codec::PixelsU8);
}

TEST_CASE("with pictures a profile has every quality: bytes, time and changed answers") {
  const PipelineBench bench(1, 4, kInputSide);
  const std::vector<std::string> pictures{bench.picture, bench.picture};
  ProfileData profile;
  profile.variants.push_back({.variant = "f32", .op_median_ns = {1}, .op_p95_ns = {1}});
  CodecSurveyOptions options;
  options.jpeg_qualities.push_back(40);
  std::string note;
  REQUIRE(survey_codecs(bench.model, pictures, options, profile, note).is_ok());
  for (const std::uint8_t quality : options.jpeg_qualities) {
    CAPTURE(quality);
    const CodedBytes* coded =
        find_coded(profile, "f32", static_cast<std::uint8_t>(fbs::Codec::JpegModelSize), quality);
    REQUIRE(coded != nullptr);
    CHECK(coded->op_boundary == std::vector<std::uint32_t>{0});
    CHECK(coded->median_bytes.at(0) == jpeg_bytes_of(bench, quality));
    CHECK(coded->pictures == 2);
    CHECK(coded->compared_pictures == 2);
    REQUIRE(coded->differing_pictures.size() == 1);
    CHECK(coded->encode_ns.at(0) > 0);
  }
  CHECK(write_profile(bench.folder / "profile", profile).is_ok());
  // Only timed.
  ProfileData timed;
  timed.variants = profile.variants;
  REQUIRE(survey_codecs(bench.model, {}, {}, timed, note).is_ok());
  const CodedBytes* coded =
      find_coded(timed, "f32", static_cast<std::uint8_t>(fbs::Codec::JpegModelSize), 90);
  REQUIRE(coded != nullptr);
  CHECK(coded->pictures == 0);
  CHECK(coded->differing_pictures.empty());
}

}  // namespace cleave::agent
