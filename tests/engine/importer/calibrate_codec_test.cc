// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/calibrate_codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "engine/importer/cut_search.h"
#include "engine/importer/cut_walker.h"
#include "engine/importer/importer.h"
#include "engine/importer/model_pixels.h"
#include "engine/importer/synthetic_picture.h"
#include "engine/importer/variants.h"
#include "schemas/model_reader.h"
#include "tests/support/graph_builder.h"
#include "tests/support/sanitized.h"

using namespace cleave;
using namespace cleave::importer;

namespace {

template <typename T>
T value_of(Result<T> result) {
  REQUIRE_MESSAGE(result.is_ok(), result.status().message());
  return std::move(result).value();
}

std::shared_ptr<const ModelFile> calibration_network(bool int8 = false) {
  Graph graph = value_of(make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.35}));
  REQUIRE(compile(graph).is_ok());
  const Variants variants = value_of(Variants::make(graph, {.f32 = !int8, .int8 = int8}));
  return value_of(ModelFile::from_bytes(value_of(build_model_file(variants.list()))));
}

std::vector<std::vector<std::uint8_t>> pictures_for(const ModelFile& model, std::size_t count) {
  std::vector<std::vector<std::uint8_t>> pictures;
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    pictures.push_back(synthetic_picture(input_shape(model), seed));
  }
  return pictures;
}

// Answers with the channel of a picture that is brightest on the mean. Where the first channel is
// 255, a fourth one that no answer depends on is 100,000. `factors`: of the three scores.
std::shared_ptr<const ModelFile> brightest_channel(const std::vector<float>& factors = {1, 1, 1}) {
  cleave::test::GraphBuilder b({8, 8, 3});
  const ValueId copied = b.relu(b.conv2d(b.input(), 4, 1));
  const ValueId means = b.node(NodeKind::kGlobalAveragePool, std::vector<ValueId>{copied});
  Graph graph = b.finish(b.fully_connected(means, 3));
  REQUIRE(compile(graph).is_ok());
  for (Node& node : graph.nodes) {
    if (node.kernel.empty()) continue;
    if (node.kind == NodeKind::kConv2D) {
      node.kernel = {1, 0, 0, 0, 1, 0, 0, 0, 1, 200'000, 0, 0};
      node.bias = {0, 0, 0, -254.5F * 200'000};
    } else {
      node.kernel.assign(12, 0);
      for (std::size_t c = 0; c < 3; ++c) node.kernel[c * 4 + c] = factors[c];
      node.bias.assign(3, 0);
    }
  }
  const Variants variants = value_of(Variants::make(graph, {.f32 = true}));
  return value_of(ModelFile::from_bytes(value_of(build_model_file(variants.list()))));
}

// Noise, one channel of which is a little brighter: each in turn.
std::vector<std::vector<std::uint8_t>> tinged_pictures(std::size_t count, std::uint32_t seed = 7) {
  std::vector<std::vector<std::uint8_t>> pictures(count);
  std::minstd_rand random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t p = 0; p < 8 * 8 * 3; ++p) {
      pictures[i].push_back(static_cast<std::uint8_t>(random() % 239 + (p % 3 == i % 3 ? 15 : 0)));
    }
  }
  return pictures;
}

constexpr OpIndex kCuts[] = {2, 9, 30};

std::shared_ptr<const ModelFile> with_coded_tables(const std::shared_ptr<const ModelFile>& model) {
  const CodecCalibration options{.cuts = {std::begin(kCuts), std::end(kCuts)},
                                 .disagreement_ppm = {100'000, 400'000},
                                 .done = {}};
  const auto tables = value_of(calibrate_codec(model, options, pictures_for(*model, 4)));
  return value_of(ModelFile::from_bytes(value_of(with_coded_tables(*model, tables))));
}

}  // namespace

TEST_CASE("a calibrated model is the model, with levels of coded at its cuts") {
  for (const bool int8 : {false, true}) {
    CAPTURE(int8);
    const auto plain = calibration_network(int8);
    const auto coded = with_coded_tables(plain);
    CHECK(coded->verify_segments().is_ok());
    CHECK(coded->identity() != plain->identity());
    fbs::ModelT before, after;
    plain->header().UnPackTo(&before);
    coded->header().UnPackTo(&after);
    CHECK(after.codec_tables.size() == std::size(kCuts));
    CHECK(after.variants.size() == before.variants.size());
    CHECK(after.segments.size() == before.segments.size());
    for (const OpIndex cut : kCuts) {
      const auto figures = value_of(coded_figures(*coded, 0, cut));
      REQUIRE(figures.size() == 2);
      CHECK(figures[0].compared_pictures == 8);   // mirrored ones too
      CHECK(figures[0].differing_pictures == 0);  // 0.8 of 8 allowed
      CHECK(figures[1].differing_pictures <= 3);  // 3.2 of 8
      CHECK(figures[0].allowed_ppm == 100'000);
      CHECK(figures[1].allowed_ppm == 400'000);
      CHECK(figures[1].median_bytes <= figures[0].median_bytes);
      CHECK(figures[0].median_bytes <= figures[0].p95_bytes);
    }
    CHECK(value_of(coded_figures(*coded, 0, 3)).empty());
    // Again, and on what was calibrated before: the same bytes.
    CHECK(with_coded_tables(plain)->identity() == coded->identity());
    CHECK(with_coded_tables(coded)->identity() == coded->identity());
  }
}

TEST_CASE("the step is as coarse as the answers allow, and no coarser") {
  const auto model = brightest_channel();
  const CodecCalibration options{
      .cuts = {1}, .disagreement_ppm = {1, 150'000, 500'000}, .done = {}};
  const auto tables = value_of(calibrate_codec(model, options, tinged_pictures(9)));
  const auto coded = value_of(ModelFile::from_bytes(value_of(with_coded_tables(*model, tables))));
  const auto figures = value_of(coded_figures(*coded, 0, 1));
  REQUIRE(figures.size() == 3);
  CHECK(figures[0].differing_pictures == 0);
  CHECK(figures[1].differing_pictures <= 2);  // 2.7 of 18 allowed
  CHECK(figures[2].differing_pictures <= 9);
  CHECK(figures[2].differing_pictures > 0);
  CHECK(figures[2].median_bytes < figures[0].median_bytes);
  CHECK(figures[1].median_bytes <= figures[0].median_bytes);
}

TEST_CASE("a share that is expected says how far chance may be off, by photos") {
  // Margins of 1 to 10, and every second one's change is a loss of 5.
  std::vector<JudgedAnswer> answers;
  for (int i = 0; i < 40; ++i) {
    const double margin = 1 + i % 10;
    answers.push_back({.margin_before = margin, .margin_now = margin - (i / 10 % 2 == 0 ? 5 : 0)});
  }
  const ExpectedShare apart = expected_share(answers, 40);
  CHECK(apart.share == doctest::Approx(0.2).epsilon(0.1));  // half of those below 5
  CHECK(apart.deviation > 0.03);
  CHECK(apart.deviation < 0.05);
  CHECK(apart.with_margin() == apart.share + kUpperQuartile * apart.deviation);
  // As pictures of ten photos with one margin each: the same share, told less exactly.
  const ExpectedShare together = expected_share(answers, 10);
  CHECK(together.share == doctest::Approx(apart.share));
  CHECK(together.deviation > 1.9 * apart.deviation);
  // Where none is lost there is nothing to be off by.
  for (JudgedAnswer& answer : answers) answer.margin_now = answer.margin_before;
  CHECK(expected_share(answers, 20).with_margin() == 0);
}

// Nothing but chance tells the pictures that calibrate from the others.
TEST_CASE("most levels keep to their disagreement on pictures that did not calibrate") {
  constexpr std::size_t kCalibrations = test::kSanitized ? 12 : 48, kOthers = 600;
  constexpr std::uint32_t kAllowedPpm = 100'000;
  const auto model = brightest_channel();
  const auto others = value_of(CutWalker::create(model, 0, tinged_pictures(kOthers, 99), 1));
  REQUIRE(others->go_to(1).is_ok());
  std::size_t kept = 0;
  for (std::uint32_t seed = 1; seed <= kCalibrations; ++seed) {
    const CodecCalibration options{.cuts = {1}, .disagreement_ppm = {kAllowedPpm}, .done = {}};
    const auto tables = value_of(calibrate_codec(model, options, tinged_pictures(20, seed)));
    const auto coded = value_of(ModelFile::from_bytes(value_of(with_coded_tables(*model, tables))));
    const auto codec = value_of(BoundaryCodec::create(*coded, 0, 1, {fbs::Codec::Coded, 0}));
    std::vector<std::byte> stream(codec->max_encoded_bytes());
    std::vector<std::byte> arrived(others->tensors(0)[0].size());
    const std::span<std::byte> into[] = {arrived};
    const std::span<const std::byte> carried[] = {arrived};
    std::size_t differing = 0;
    for (std::size_t i = 0; i < kOthers; ++i) {
      const std::size_t length = codec->encode(others->tensors(i), stream);
      REQUIRE(codec->decode(std::span(stream).first(length), into).is_ok());
      differing += value_of(others->answer_with(carried)) != others->answer(i) ? 1 : 0;
    }
    kept += 1'000'000 * differing <= kAllowedPpm * kOthers ? 1 : 0;
  }
  // Three in four are what calibration goes by.
  CHECK(kept >= kCalibrations * 2 / 3);
}

TEST_CASE("of two levels the shorter one is better that keeps to the disagreement") {
  const auto figures = [](std::uint32_t differing, std::uint32_t bytes) {
    return CodedFigures{.compared_pictures = 20,
                        .differing_pictures = differing,
                        .median_bytes = bytes,
                        .p95_bytes = bytes};
  };
  CHECK(is_better(figures(2, 100), figures(1, 101), 100'000));
  CHECK_FALSE(is_better(figures(2, 101), figures(1, 100), 100'000));
  CHECK_FALSE(is_better(figures(2, 100), figures(1, 100), 100'000));
  // What does not keep to it is never taken, however short; what does, however long.
  CHECK_FALSE(is_better(figures(3, 10), figures(2, 100), 149'999));
  CHECK(is_better(figures(2, 100), figures(3, 10), 149'999));
  CHECK_FALSE(is_better(figures(4, 10), figures(3, 100), 0));
  CHECK(is_better(figures(3, 10), figures(2, 100), 150'000));
}

TEST_CASE("a value far beyond all others is clipped rather than the others lost") {
  const auto model = brightest_channel();
  auto pictures = tinged_pictures(9);
  pictures[0][0] = 255;
  const CodecCalibration options{.cuts = {1}, .disagreement_ppm = {1, 500'000}, .done = {}};
  const auto tables = value_of(calibrate_codec(model, options, pictures));
  const auto coded = value_of(ModelFile::from_bytes(value_of(with_coded_tables(*model, tables))));
  const auto figures = value_of(coded_figures(*coded, 0, 1));
  REQUIRE(figures.size() == 2);
  CHECK(figures[0].differing_pictures <= 1);  // 12 of 18 with a step that clips nothing
  CHECK(figures[1].differing_pictures <= 9);
  CHECK(figures[1].median_bytes < figures[0].median_bytes);
}

TEST_CASE("streams are as long, and answers differ as often, as calibration says") {
  const auto model = with_coded_tables(calibration_network());
  auto pictures = pictures_for(*model, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    pictures.push_back(mirrored(pictures[i], input_shape(*model)));
  }
  const auto walker = value_of(CutWalker::create(model, 0, pictures, 1));
  for (const OpIndex cut : kCuts) {
    REQUIRE(walker->go_to(cut).is_ok());
    for (std::uint8_t level = 0; level < 2; ++level) {
      CAPTURE(cut);
      CAPTURE(level);
      const auto codec =
          value_of(BoundaryCodec::create(*model, 0, cut, {fbs::Codec::Coded, level}));
      const CodedFigures figures = value_of(coded_figures(*model, 0, cut))[level];
      std::vector<std::size_t> lengths;
      std::uint32_t differing = 0;
      for (std::size_t i = 0; i < pictures.size(); ++i) {
        std::vector<std::byte> stream(codec->max_encoded_bytes());
        stream.resize(codec->encode(walker->tensors(i), stream));
        lengths.push_back(stream.size());
        std::vector<std::vector<std::byte>> arrived;
        for (const auto& tensor : walker->tensors(i)) arrived.emplace_back(tensor.size());
        const std::vector<std::span<std::byte>> into(arrived.begin(), arrived.end());
        REQUIRE(codec->decode(stream, into).is_ok());
        const std::vector<std::span<const std::byte>> carried(arrived.begin(), arrived.end());
        differing += value_of(walker->answer_with(carried)) != walker->answer(i) ? 1 : 0;
      }
      std::ranges::sort(lengths);
      CHECK(figures.median_bytes == lengths[3]);
      CHECK(figures.p95_bytes == lengths[7]);
      CHECK(figures.differing_pictures == differing);
    }
  }
}

TEST_CASE("calibrating one cut again leaves the others' levels") {
  const auto model = with_coded_tables(calibration_network());
  const CodecCalibration options{.cuts = {9}, .disagreement_ppm = {200'000}, .done = {}};
  const auto tables = value_of(calibrate_codec(model, options, pictures_for(*model, 2)));
  const auto again = value_of(ModelFile::from_bytes(value_of(with_coded_tables(*model, tables))));
  const auto before = value_of(coded_figures(*model, 0, 2));
  const auto after = value_of(coded_figures(*again, 0, 2));
  REQUIRE(after.size() == 2);
  CHECK(after[0].median_bytes == before[0].median_bytes);
  CHECK(value_of(coded_figures(*again, 0, 30)).size() == 2);
  const auto renewed = value_of(coded_figures(*again, 0, 9));
  REQUIRE(renewed.size() == 1);
  CHECK(renewed[0].compared_pictures == 4);
}

TEST_CASE("a mirrored picture has its left on the right") {
  const fbs::Shape shape(2, 3, 2);
  const std::vector<std::uint8_t> pixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  CHECK(mirrored(pixels, shape) ==
        std::vector<std::uint8_t>{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8});
}

TEST_CASE("pictures stop at each cut, and go on from there to the same answers") {
  const auto model = calibration_network();
  const auto pictures = pictures_for(*model, 3);
  const auto walker = value_of(CutWalker::create(model, 0, pictures, 1));
  for (const OpIndex cut : {0U, 1U, 7U, 8U, 40U}) {
    REQUIRE(walker->go_to(cut).is_ok());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CHECK(value_of(walker->answer_with(walker->tensors(i))) == walker->answer(i));
    }
  }
}

TEST_CASE("margins of infinite scores, and of scores that are no numbers, are numbers") {
  const auto pictures = tinged_pictures(3);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> score_factors[] = {{3e38F, 3e38F, 1}, {-3e38F, 1, 1}, {kNan, 1, 1}};
  for (const std::vector<float>& factors : score_factors) {
    CAPTURE(factors[0]);
    const auto model = brightest_channel(factors);
    const auto walker = value_of(CutWalker::create(model, 0, pictures, 1));
    REQUIRE(walker->go_to(1).is_ok());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const JudgedAnswer judged = value_of(walker->judge(i, walker->tensors(i)));
      CHECK_FALSE(judged.differs);
      CHECK(judged.margin_before >= 0);
      CHECK(judged.margin_before <= 50);
      CHECK(judged.margin_now == judged.margin_before);
      CHECK(judged.divergence == 0);
    }
  }
}

TEST_CASE("without a picture nothing is calibrated") {
  const auto model = calibration_network();
  const CodecCalibration options{.cuts = {2}, .disagreement_ppm = {10'000}, .done = {}};
  CHECK(calibrate_codec(model, options, {}).status().code() == StatusCode::kInvalidArgument);
}
