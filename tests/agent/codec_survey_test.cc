// SPDX-License-Identifier: Apache-2.0
#include "agent/codec_survey.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <fstream>

#include "agent/codec_option.h"
#include "agent/device_caps.h"
#include "engine/head_memory.h"
#include "engine/image/jpeg_encoder.h"
#include "tests/engine/codec/codec_fixture.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

std::shared_ptr<const ModelFile> surveyed_model() {
  test::ModelBuilder builder({8, 8, 3});
  const test::Tensor a =
      builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(builder.sigmoid(a), 5);
  return test::open_calibrated(builder);
}

ProfileData table_of(const ModelFile& model) {
  ProfileData profile;
  profile.variants.push_back({.variant = model.header().variants()->Get(0)->name()->str(),
                              .op_median_ns = {1},
                              .op_p95_ns = {1}});
  return profile;
}

std::vector<std::string> some_jpegs(const test::TemporaryFolder& folder, int count) {
  std::vector<std::string> names;
  for (int p = 0; p < count; ++p) {
    std::vector<std::uint8_t> rgb(std::size_t{16} * 16 * 3);
    for (std::size_t i = 0; i < rgb.size(); ++i) {
      rgb[i] = static_cast<std::uint8_t>(i * 7 + i / 48 * static_cast<std::size_t>(p + 1) * 5);
    }
    const auto jpeg = encode_jpeg(rgb, 16, 16, 90);
    REQUIRE(jpeg.is_ok());
    names.push_back(folder / (std::to_string(p) + ".jpg"));
    std::ofstream(names.back(), std::ios::binary)
        .write(reinterpret_cast<const char*>(jpeg->data()),
               static_cast<std::streamsize>(jpeg->size()));
  }
  return names;
}

}  // namespace

TEST_CASE("with pictures every codec has bytes, times and changed answers at every cut") {
  const test::TemporaryFolder folder;
  const auto model = surveyed_model();
  std::vector<std::string> pictures = some_jpegs(folder, 3);
  pictures.push_back(folder / "none.jpg");
  ProfileData profile = table_of(*model);
  std::string note;
  std::size_t done = 0, total = 0;
  const CodecSurveyOptions options{.progress = [&](std::size_t d, std::size_t t) {
    done = d;
    total = t;
  }};
  REQUIRE(survey_codecs(model, pictures, options, profile, note).is_ok());
  CHECK(note.empty());
  CHECK(done == total);
  CHECK(done == 3 * 2);  // pictures and cuts
  const CodecChoice expected[] = {{.codec = fbs::Codec::Lossless},
                                  {.codec = fbs::Codec::F16},
                                  {.codec = fbs::Codec::Int8},
                                  {.codec = fbs::Codec::Coded},
                                  {.codec = fbs::Codec::Coded, .quality = 1}};
  REQUIRE(profile.coded.size() == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const CodedBytes& coded = profile.coded[i];
    const std::string name = codec_name(expected[i]);
    CAPTURE(name);
    CHECK(coded.codec == static_cast<std::uint8_t>(expected[i].codec));
    CHECK(coded.quality == expected[i].quality);
    CHECK(coded.op_boundary == std::vector<std::uint32_t>{1, 2});
    CHECK(coded.pictures == 3);
    REQUIRE(coded.encode_ns.size() == 2);
    CHECK(coded.encode_ns[0] > 0);
    if (expected[i].codec == fbs::Codec::F16) CHECK(coded.median_bytes[0] == 8 * 8 * 4 * 2);
    CHECK(coded.median_bytes[0] <= coded.p95_bytes[0]);
    const bool is_compared = !is_exact(expected[i].codec);
    CHECK(coded.compared_pictures == (is_compared ? 3 : 0));
    CHECK(coded.differing_pictures.size() == (is_compared ? 2 : 0));
  }
  CHECK(write_profile(folder / "profile", profile).is_ok());
}

TEST_CASE("without pictures, or without room for the whole network, codecs are only timed") {
  const test::TemporaryFolder folder;
  const auto model = surveyed_model();
  const auto check = [&](int count, std::uint64_t ram_bytes, const std::string& words) {
    CAPTURE(words);
    const std::vector<std::string> pictures = some_jpegs(folder, count);
    CodecSurveyOptions options;
    options.ram_bytes = ram_bytes;
    ProfileData profile = table_of(*model);
    std::string note;
    REQUIRE(survey_codecs(model, pictures, options, profile, note).is_ok());
    CHECK(note.empty() == words.empty());
    CHECK(note.starts_with(words));
    REQUIRE(profile.coded.size() == 5);
    for (const CodedBytes& coded : profile.coded) {
      CHECK(coded.pictures == 0);
      CHECK(coded.encode_ns.size() == 2);
      CHECK(coded.differing_pictures.empty());
    }
  };
  check(0, UINT64_MAX, "");
  // Enough for a picture, and half of what a network takes besides weights and tensors.
  ::malloc_trim(0);
  check(1, resident_bytes() + kHeadOtherBytes / 2, "f32: the whole network does not fit --ram");
}

TEST_CASE("a cut whose tensors have no room is not timed, what is behind it is") {
  constexpr std::uint32_t kSide = 256;
  constexpr std::uint64_t kLargeBytes = std::uint64_t{kSide} * kSide * 16 * sizeof(float);
  test::ModelBuilder builder({kSide, kSide, 3});
  const test::Tensor large =
      builder.conv2d(builder.input(), 16, test::WindowSpec{.window = 3, .pad = 1});
  const test::Tensor small =
      builder.conv2d(large, 4, test::WindowSpec{.window = 3, .stride = 32, .pad = 1});
  builder.fully_connected(small, 5);
  auto file = ModelFile::from_bytes(builder.build());
  REQUIRE(file.is_ok());
  const auto timed_cuts = [&](std::uint64_t room_bytes) {
    ::malloc_trim(0);
    CodecSurveyOptions options;
    options.ram_bytes = room_bytes == UINT64_MAX ? room_bytes : resident_bytes() + room_bytes;
    std::size_t done = 0;
    options.jpeg_qualities.clear();
    options.progress = [&](std::size_t d, std::size_t) { done = d; };
    ProfileData profile = table_of(**file);
    std::string note;
    REQUIRE(survey_codecs(*file, {}, options, profile, note).is_ok());
    CHECK(done == 2);
    return profile.coded.empty() ? std::vector<std::uint32_t>() : profile.coded[0].op_boundary;
  };
  CHECK(timed_cuts(UINT64_MAX) == std::vector<std::uint32_t>{1, 2});
  // It alone, and not a codec and its output as well.
  CHECK(timed_cuts(kLargeBytes * 3 / 2) == std::vector<std::uint32_t>{2});
}

TEST_CASE("without room for anything, no picture is decoded and nothing is timed") {
  const test::TemporaryFolder folder;
  const auto model = surveyed_model();
  const std::vector<std::string> pictures = some_jpegs(folder, 1);
  CodecSurveyOptions options;
  options.ram_bytes = 1;
  ProfileData profile = table_of(*model);
  std::string note;
  REQUIRE(survey_codecs(model, pictures, options, profile, note).is_ok());
  CHECK(note.starts_with("no picture has the room to be decoded in"));
  CHECK(profile.coded.empty());
}

TEST_CASE("variants that the profile does not have are left out") {
  const auto model = surveyed_model();
  ProfileData profile;
  std::string note;
  REQUIRE(survey_codecs(model, {}, {}, profile, note).is_ok());
  CHECK(profile.coded.empty());
}

}  // namespace cleave::agent
