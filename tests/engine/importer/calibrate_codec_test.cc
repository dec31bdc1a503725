// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/calibrate_codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "engine/importer/cut_walker.h"
#include "engine/importer/importer.h"
#include "engine/importer/model_pixels.h"
#include "engine/importer/synthetic_picture.h"
#include "engine/importer/variants.h"
#include "schemas/model_reader.h"

using namespace cleave;
using namespace cleave::importer;

namespace {

template <typename T>
T value_of(Result<T> result) {
  REQUIRE_MESSAGE(result.is_ok(), result.status().message());
  return std::move(result).value();
}

std::shared_ptr<const ModelFile> small_network(bool int8 = false) {
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

constexpr OpIndex kCuts[] = {2, 9, 30};

std::shared_ptr<const ModelFile> calibrated(const std::shared_ptr<const ModelFile>& model) {
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
    const auto plain = small_network(int8);
    const auto coded = calibrated(plain);
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
      CHECK(figures[0].compared_pictures == 8);  // mirrored ones too
      CHECK(figures[1].median_bytes <= figures[0].median_bytes);
      CHECK(figures[0].median_bytes <= figures[0].p95_bytes);
    }
    CHECK(value_of(coded_figures(*coded, 0, 3)).empty());
    // Again, and on what was calibrated before: the same bytes.
    CHECK(calibrated(plain)->identity() == coded->identity());
    CHECK(calibrated(coded)->identity() == coded->identity());
  }
}

TEST_CASE("streams are as long as calibration says, and are read") {
  const auto model = calibrated(small_network());
  const auto pictures = pictures_for(*model, 4);
  const auto walker = value_of(CutWalker::create(model, 0, pictures, 1));
  for (const OpIndex cut : kCuts) {
    REQUIRE(walker->go_to(cut).is_ok());
    const auto codec = value_of(BoundaryCodec::create(*model, 0, cut, {fbs::Codec::Coded, 0}));
    const CodedFigures figures = value_of(coded_figures(*model, 0, cut))[0];
    std::vector<std::byte> stream(codec->max_encoded_bytes());
    for (std::size_t i = 0; i < walker->pictures(); ++i) {
      const auto tensors = walker->tensors(i);
      const std::size_t length = codec->encode(tensors, stream);
      CHECK(length <= figures.p95_bytes);  // of 8, that is the longest
      std::vector<std::vector<std::byte>> arrived;
      for (const auto& tensor : tensors) arrived.emplace_back(tensor.size());
      const std::vector<std::span<std::byte>> into(arrived.begin(), arrived.end());
      REQUIRE(codec->decode(std::span(stream).first(length), into).is_ok());
    }
  }
}

TEST_CASE("pictures stop at each cut, and go on from there to the same answers") {
  const auto model = small_network();
  const auto pictures = pictures_for(*model, 3);
  const auto walker = value_of(CutWalker::create(model, 0, pictures, 1));
  for (const OpIndex cut : {0U, 1U, 7U, 8U, 40U}) {
    REQUIRE(walker->go_to(cut).is_ok());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CHECK(value_of(walker->answer_with(walker->tensors(i))) == walker->answer(i));
    }
  }
}

TEST_CASE("without a picture nothing is calibrated") {
  const auto model = small_network();
  const CodecCalibration options{.cuts = {2}, .disagreement_ppm = {10'000}, .done = {}};
  CHECK(calibrate_codec(model, options, {}).status().code() == StatusCode::kInvalidArgument);
}
