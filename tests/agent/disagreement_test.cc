// SPDX-License-Identifier: Apache-2.0
#include "agent/disagreement.h"

#include <doctest/doctest.h>

#include <fstream>

#include "agent/stretch_runner.h"
#include "engine/head_memory.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

// One network as two variants.
std::shared_ptr<const ModelFile> two_variants() {
  test::ModelBuilder builder({8, 8, 3});
  builder.fully_connected(
      builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1}), 5);
  auto model = ModelFile::from_bytes(builder.build([](fbs::ModelT& draft) {
    draft.variants.push_back(std::make_unique<fbs::VariantT>(*draft.variants[0]));
    draft.variants[0]->name = "first";
    draft.variants[1]->name = "second";
  }));
  REQUIRE_MESSAGE(model.is_ok(), model.status().message());
  return *model;
}

ProfileData tables_of(std::initializer_list<std::pair<const char*, std::uint32_t>> tables) {
  ProfileData profile;
  for (const auto& [variant, threads] : tables) {
    profile.variants.push_back({.variant = variant, .threads = threads});
  }
  return profile;
}

std::string gray_jpeg(const std::string& path, std::uint8_t value) {
  const std::vector<std::uint8_t> rgb(std::size_t{16} * 16 * 3, value);
  const auto jpeg = encode_jpeg(rgb, 16, 16, 90);
  REQUIRE(jpeg.is_ok());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(jpeg->data()),
             static_cast<std::streamsize>(jpeg->size()));
  return path;
}

}  // namespace

TEST_CASE("a variant with the same values never differs, and every table of it says so") {
  const test::TemporaryFolder folder;
  const auto model = two_variants();
  const std::vector<std::string> pictures{gray_jpeg(folder / "a.jpg", 10),
                                          gray_jpeg(folder / "b.jpg", 200)};
  ProfileData profile = tables_of({{"first", 1}, {"second", 1}, {"second", 2}});
  REQUIRE(measure_disagreement(model, pictures, {}, profile).is_ok());
  CHECK(profile.variants[0].compared_pictures == 0);  // with itself: nothing to compare
  for (const std::size_t table : {1, 2}) {
    CHECK(profile.variants[table].compared_pictures == 2);
    CHECK(profile.variants[table].differing_pictures == 0);
  }
}

TEST_CASE("nothing is compared without pictures or without another variant's table") {
  const test::TemporaryFolder folder;
  const auto model = two_variants();
  ProfileData profile = tables_of({{"first", 1}, {"second", 1}});
  REQUIRE(measure_disagreement(model, {}, {}, profile).is_ok());
  CHECK(profile.variants[1].compared_pictures == 0);
  const std::vector<std::string> missing{folder / "none.jpg"};
  ProfileData first = tables_of({{"first", 1}});
  CHECK(measure_disagreement(model, missing, {}, first).is_ok());
  CHECK(measure_disagreement(model, missing, {}, profile).is_ok());
  CHECK(profile.variants[1].compared_pictures == 0);
}

TEST_CASE("pictures that cannot be used are told of and left out, the others are compared") {
  const test::TemporaryFolder folder;
  const auto model = two_variants();
  std::ofstream(folder / "text.jpg") << "no picture at all";
  const std::vector<std::string> pictures{folder / "none.jpg", gray_jpeg(folder / "a.jpg", 10),
                                          folder / "text.jpg", gray_jpeg(folder / "b.jpg", 200)};
  std::vector<std::string> skipped;
  std::vector<StatusCode> codes;
  std::size_t last_done = 0, last_total = 0, calls = 0;
  DisagreementOptions options;
  options.weight_budget_bytes = 0;
  options.skipped = [&](const std::string& name, const Status& why) {
    skipped.push_back(name);
    codes.push_back(why.code());
    CHECK(why.message().find(name) != std::string::npos);
  };
  options.progress = [&](std::size_t done, std::size_t total) {
    CHECK(done > last_done);
    CHECK(done <= total);
    last_done = done;
    last_total = total;
    ++calls;
  };
  ProfileData profile = tables_of({{"second", 1}});
  REQUIRE(measure_disagreement(model, pictures, options, profile).is_ok());
  CHECK(profile.variants[0].compared_pictures == 2);
  CHECK(skipped == std::vector<std::string>{pictures[0], pictures[2]});
  CHECK(codes == std::vector<StatusCode>{StatusCode::kNotFound, StatusCode::kUnsupported});
  CHECK(last_total == 4 * 2 * model->header().variants()->Get(0)->ops()->size());
  CHECK(last_done == last_total);
  CHECK(calls == 2 + 2 * 2 * 2);  // skipped ones, and 2 pictures x 2 variants x 2 stretches
}

TEST_CASE("without room for one picture nothing is compared") {
  const test::TemporaryFolder folder;
  const auto model = two_variants();
  const std::vector<std::string> pictures{gray_jpeg(folder / "a.jpg", 10)};
  DisagreementOptions options;
  options.ram_bytes = 1;
  ProfileData profile = tables_of({{"second", 1}});
  const Status compared = measure_disagreement(model, pictures, options, profile);
  CHECK(compared.code() == StatusCode::kResourceExhausted);
  CHECK(compared.message().find("no room") != std::string::npos);
  CHECK(profile.variants[0].compared_pictures == 0);
}

TEST_CASE("a share that was measured is never taken for none") {
  const auto model = two_variants();
  const auto ppm = [&](const char* variant, std::uint32_t compared, std::uint32_t differing) {
    return disagreement_ppm(
        model->header(),
        {.variant = variant, .compared_pictures = compared, .differing_pictures = differing});
  };
  CHECK(ppm("first", 0, 0) == 0);
  CHECK(ppm("second", 0, 0) == UINT32_MAX);
  CHECK(ppm("second", 9, 0) == 100'000);
  CHECK(ppm("second", 150, 2) == 19'868);  // 3 of 151
  CHECK(ppm("second", 10, 10) == 1'000'000);
  CHECK(ppm("second", kMaxComparedPictures, 0) == 1);
}

TEST_CASE("scores in stretches are those of the whole network") {
  const auto model = two_variants();
  std::vector<std::uint8_t> pixels(8 * 8 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  StretchRunner whole(model, 0, 1, UINT64_MAX, {});
  StretchRunner one_by_one(model, 1, 1, 0, {});
  const auto expected = whole.scores(pixels);
  REQUIRE(expected.is_ok());
  CHECK(expected->size() == 5);
  for (int again = 0; again < 2; ++again) {
    const auto found = one_by_one.scores(pixels);
    REQUIRE(found.is_ok());
    CHECK(*found == *expected);
    CHECK(*whole.scores(pixels) == *expected);
    whole.release();
  }
}

TEST_CASE("a batch's scores are those of its pictures one by one, each stretch made once") {
  // A residual connection, so that two tensors cross between some stretches.
  test::ModelBuilder builder({8, 8, 3});
  const auto stem = builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1});
  const auto branch = builder.conv2d(stem, 4, test::WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(builder.add(stem, branch), 5);
  auto model = ModelFile::from_bytes(builder.build());
  REQUIRE_MESSAGE(model.is_ok(), model.status().message());
  constexpr std::size_t kPictures = 3, kEach = 8 * 8 * 3;
  std::vector<std::uint8_t> pixels(kPictures * kEach);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i * 7);
  StretchRunner whole(*model, 0, 1, UINT64_MAX, {});
  std::vector<float> expected;
  for (std::size_t i = 0; i < kPictures; ++i) {
    const auto one = whole.scores(std::span(pixels).subspan(i * kEach, kEach));
    REQUIRE(one.is_ok());
    expected.insert(expected.end(), one->begin(), one->end());
  }
  CHECK(expected[0] != expected[5]);
  for (const std::uint64_t budget : {std::uint64_t{0}, UINT64_MAX}) {
    StretchRunner batch(*model, 0, 1, budget, {});
    std::vector<std::size_t> ops;
    const auto found = batch.scores(pixels, [&](std::size_t count) { ops.push_back(count); });
    REQUIRE(found.is_ok());
    CHECK(*found == expected);
    const std::size_t op_count = (*model)->header().variants()->Get(0)->ops()->size();
    CHECK(ops.size() == (budget == 0 ? kPictures * op_count : kPictures));
  }
}

TEST_CASE("as many pictures at once as there is room for, with what crosses between stretches") {
  const auto model = two_variants();
  const StretchRunner whole(model, 0, 1, UINT64_MAX, {});
  const StretchRunner one_by_one(model, 0, 1, 0, {});
  const auto fit = [](const StretchRunner& runner, std::uint64_t room) {
    const auto pictures = runner.pictures_within(room);
    REQUIRE(pictures.is_ok());
    return *pictures;
  };
  // Pixels and scores; pixels, the convolution's output, and the scores.
  constexpr std::uint64_t kWhole = 8 * 8 * 3 + 5 * 4, kOneByOne = kWhole + 8 * 8 * 4 * 4;
  constexpr std::uint64_t kRoom = 64 << 20, kMore = 1000;
  CHECK(fit(whole, 0) == 0);
  CHECK(fit(whole, kHeadOtherBytes) == 0);
  CHECK(fit(whole, kRoom + kMore * kWhole) == fit(whole, kRoom) + kMore);
  CHECK(fit(one_by_one, kRoom + kMore * kOneByOne) == fit(one_by_one, kRoom) + kMore);
}

}  // namespace cleave::agent
