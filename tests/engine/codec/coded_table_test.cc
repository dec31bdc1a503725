// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

using codec::Boundary;
using codec::CodedQuality;

// An f32 tensor and an int8 one.
Boundary two_tensors() {
  return {{.dtype = fbs::DType::F32, .positions = 6, .width = 3, .channels = 5},
          {.dtype = fbs::DType::S8, .zero_point = 3, .positions = 4, .width = 2, .channels = 2}};
}

std::vector<std::uint8_t> sample_table() {
  const CodedQuality qualities[] = {sample_quality(two_tensors(), kFineStep),
                                    sample_quality(two_tensors(), kCoarseStep)};
  return codec::write_coded_table(qualities);
}

// Where things stand in it.
constexpr std::size_t kFigures = 2;
constexpr std::size_t kFirstTensor = kFigures + 16;
constexpr std::size_t kFirstClasses = kFirstTensor + 5 + codec::kCentroids;

}  // namespace

TEST_CASE("a table is read as it was written") {
  const auto read = codec::read_coded_table(sample_table(), two_tensors());
  require_ok(read.status());
  REQUIRE(read->size() == 2);
  const CodedQuality expected = sample_quality(two_tensors(), kCoarseStep);
  CHECK((*read)[1].figures == expected.figures);
  REQUIRE((*read)[1].tensors.size() == 2);
  for (std::size_t t = 0; t < 2; ++t) {
    const codec::CodedTensorTable& table = (*read)[1].tensors[t];
    CHECK(table.step == expected.tensors[t].step);
    CHECK(table.rounding == 85);
    CHECK(table.bit_weight == 0);
    CHECK(table.has_sign == (t == 1));
    CHECK(table.centroids == expected.tensors[t].centroids);
    CHECK(table.channel_class == expected.tensors[t].channel_class);
    CHECK(table.channel_classes == 3);
    CHECK(table.probabilities == expected.tensors[t].probabilities);
  }
}

TEST_CASE(
    "a table says what bits count for where levels are chosen; those of version 2 know no choice") {
  CodedQuality quality = turned_quality(two_tensors()[0], 1);
  quality.tensors[0].bit_weight = 200;
  std::vector<std::uint8_t> table = codec::write_coded_table({&quality, 1});
  CHECK(table[0] == 3);
  const auto read = codec::read_coded_table(table, {two_tensors()[0]});
  require_ok(read.status());
  CHECK((*read)[0].tensors[0].bit_weight == 200);
  table[0] = 2;
  table.erase(table.begin() + kFirstTensor + 3);
  const auto old = codec::read_coded_table(table, {two_tensors()[0]});
  require_ok(old.status());
  CHECK((*old)[0].tensors[0].bit_weight == 0);
  // In all else it is the same.
  quality.tensors[0].bit_weight = 0;
  CHECK(codec::write_coded_table(*old) == codec::write_coded_table({&quality, 1}));
}

TEST_CASE("a table of any other length is refused") {
  const std::vector<std::uint8_t> table = sample_table();
  for (std::size_t length = 0; length < table.size(); ++length) {
    const std::vector<std::uint8_t> exact(table.begin(),
                                          table.begin() + static_cast<std::ptrdiff_t>(length));
    REQUIRE(codec::read_coded_table(exact, two_tensors()).status().code() == StatusCode::kCorrupt);
  }
  std::vector<std::uint8_t> longer = table;
  longer.push_back(0);
  CHECK(codec::read_coded_table(longer, two_tensors()).status().code() == StatusCode::kCorrupt);
}

TEST_CASE("what calibration never writes is refused") {
  struct Spoilt {
    std::size_t place;
    std::uint8_t value;
    const char* what;
  };
  for (const Spoilt& spoilt :
       {Spoilt{0, 1, "version"}, Spoilt{0, 4, "version"}, Spoilt{1, 0, "levels"},
        Spoilt{1, 9, "levels"}, Spoilt{kFigures + 4, 101, "compared"},
        Spoilt{kFirstTensor + 1, 0x80, "step"}, Spoilt{kFirstTensor + 1, 0x7F, "step"},
        Spoilt{kFirstTensor + 1, 0, "step"}, Spoilt{kFirstTensor + 2, 129, "rounding"},
        Spoilt{kFirstTensor + 4, 0, "classes"}, Spoilt{kFirstTensor + 4, 33, "classes"},
        Spoilt{kFirstClasses, 3, "class"}}) {
    CAPTURE(spoilt.what);
    std::vector<std::uint8_t> table = sample_table();
    table[spoilt.place] = spoilt.value;
    const Status status = codec::read_coded_table(table, two_tensors()).status();
    CHECK(status.code() == StatusCode::kCorrupt);
    CHECK(status.message().find(spoilt.what) != std::string::npos);
  }
}

TEST_CASE("for which disagreement levels were made is known of tables that say it for each") {
  ModelBuilder builder({4, 4, 2});
  builder.softmax(builder.conv2d(builder.input(), 3, WindowSpec{}));
  auto model = open_calibrated(builder);
  auto figures = coded_figures(*model, 0, 1);
  REQUIRE(figures.is_ok());
  REQUIRE(figures->size() == 2);
  CHECK_FALSE(figures->at(0).allowed_ppm.has_value());
  fbs::CodecTableT& table = *builder.draft().codec_tables.back();
  table.disagreement_ppm = {10'000, 50'000};
  figures = coded_figures(*open_model(builder), 0, 1);
  REQUIRE(figures.is_ok());
  CHECK(figures->at(0).allowed_ppm == 10'000);
  CHECK(figures->at(1).allowed_ppm == 50'000);
}

TEST_CASE("a table that says its disagreement of some levels alone does not check, for any use") {
  ModelBuilder builder({4, 4, 2});
  builder.softmax(builder.conv2d(builder.input(), 3, WindowSpec{}));
  open_calibrated(builder);
  const std::vector<std::uint32_t> others[] = {{10'000}, {10'000, 50'000, 90'000}};
  for (const std::vector<std::uint32_t>& disagreement_ppm : others) {
    CAPTURE(disagreement_ppm.size());
    builder.draft().codec_tables.back()->disagreement_ppm = disagreement_ppm;
    const auto model = open_model(builder);
    CHECK(coded_figures(*model, 0, 1).status().code() == StatusCode::kCorrupt);
    const auto made = BoundaryCodec::create(*model, 0, 1, {.codec = fbs::Codec::Coded});
    CHECK(made.status().code() == StatusCode::kCorrupt);
    CHECK(made.status().message().find("disagreement") != std::string::npos);
    // As with every table that does not check, the first level is listed, and no other.
    CHECK(std::ranges::count(codecs_at(*model, 0, 1), fbs::Codec::Coded, &CodecChoice::codec) == 1);
  }
}

TEST_CASE("a transform is read as it was written") {
  const codec::BoundaryTensor tensor = two_tensors()[0];
  CodedQuality quality = turned_quality(tensor, 1);
  const auto read = codec::read_coded_table(codec::write_coded_table({&quality, 1}), {tensor});
  require_ok(read.status());
  const codec::CodedTensorTable& table = read->front().tensors[0];
  REQUIRE(table.transform);
  CHECK(table.transform->side == 1);
  CHECK(table.transform->means == quality.tensors[0].transform->means);
  CHECK(table.transform->directions == quality.tensors[0].transform->directions);
  CHECK(table.transform->steps == quality.tensors[0].transform->steps);
  CHECK(table.channel_class == quality.tensors[0].channel_class);
}

TEST_CASE("a transform that calibration never writes is refused") {
  const codec::BoundaryTensor tensor{
      .dtype = fbs::DType::F32, .positions = 6, .width = 2, .channels = 300};
  const auto refusal = [](const codec::BoundaryTensor& of, const CodedQuality& quality) {
    const auto bytes = codec::write_coded_table({&quality, 1});
    const Status status = codec::read_coded_table(bytes, {of}).status();
    CHECK(status.code() == StatusCode::kCorrupt);
    return status.message();
  };
  CHECK(refusal(tensor, turned_quality(tensor, 1)).find("apply") != std::string::npos);
  codec::BoundaryTensor fewer = tensor;
  fewer.channels = 20;
  CHECK(refusal(fewer, turned_quality(fewer, 2)).find("apply") != std::string::npos);  // 3 rows
  CHECK(refusal(fewer, turned_quality(fewer, 3)).find("blocks") != std::string::npos);
  codec::BoundaryTensor int8 = fewer;
  int8.dtype = fbs::DType::S8;
  CHECK(refusal(int8, turned_quality(int8, 1)).find("apply") != std::string::npos);
  CodedQuality quality = turned_quality(fewer, 1);
  quality.tensors[0].transform->directions.assign(400, 16384);  // 20 along each
  CHECK(refusal(fewer, quality).find("large") != std::string::npos);
  quality = turned_quality(fewer, 1);
  quality.tensors[0].transform->steps[3] = 0;
  CHECK(refusal(fewer, quality).find("step") != std::string::npos);
  quality = turned_quality(fewer, 1);
  quality.tensors[0].has_sign = false;
  CHECK(refusal(fewer, quality).find("sign") != std::string::npos);
}

TEST_CASE("a model with a table that does not check says so, and keeps its other codecs") {
  ModelBuilder builder({4, 4, 2});
  builder.softmax(builder.conv2d(builder.input(), 3, WindowSpec{}));
  auto table = std::make_unique<fbs::CodecTableT>();
  table->variant = "f32";
  table->cut = 1;
  table->codec = static_cast<std::uint8_t>(fbs::Codec::Coded);
  table->data = {1, 1, 0};
  builder.draft().codec_tables.push_back(std::move(table));
  const auto model = open_model(builder);
  CHECK(codecs_at(*model, 0, 1).back() == CodecChoice{fbs::Codec::Coded, 0});
  const auto made = BoundaryCodec::create(*model, 0, 1, {.codec = fbs::Codec::Coded});
  CHECK(made.status().code() == StatusCode::kCorrupt);
  CHECK(made.status().message().find("cut 1") != std::string::npos);
  CHECK(coded_figures(*model, 0, 1).status().code() == StatusCode::kCorrupt);
  CHECK(BoundaryCodec::create(*model, 0, 1, {.codec = fbs::Codec::Int8}).is_ok());
}

}  // namespace cleave::test
