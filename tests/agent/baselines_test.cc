// SPDX-License-Identifier: Apache-2.0
#include "agent/baselines.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "engine/image/jpeg_encoder.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

std::vector<std::uint8_t> waves(std::uint32_t width, std::uint32_t height) {
  std::vector<std::uint8_t> rgb(std::size_t{width} * height * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) {
    rgb[i] = static_cast<std::uint8_t>((i % 3) * 60 + i / 3 % width * 2);
  }
  return rgb;
}

std::string write_jpeg(const std::string& path, std::uint32_t width, std::uint32_t height) {
  const auto jpeg = encode_jpeg(waves(width, height), width, height, 90);
  REQUIRE(jpeg.is_ok());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(jpeg->data()),
             static_cast<std::streamsize>(jpeg->size()));
  return path;
}

std::shared_ptr<const ModelFile> model_of(fbs::ColorOrder order) {
  test::ModelBuilder builder({32, 48, 3});
  builder.fully_connected(
      builder.average_pool2d(builder.input(), test::WindowSpec{.window = 8, .stride = 8}), 5);
  builder.set_preprocessing(order, {0, 0, 0}, {1, 1, 1});
  auto model = ModelFile::from_bytes(builder.build());
  REQUIRE(model.is_ok());
  return *model;
}

}  // namespace

TEST_CASE("break-even: a time and a byte count against another") {
  const LinkCost choice{.fixed_ns = 30'000'000, .bytes = 1'000};
  SUBCASE("slower but smaller wins on slow links") {
    // 9,000 bytes in 20 ms: 3.6 Mbit/s.
    const BreakEven even = break_even(choice, {.fixed_ns = 10'000'000, .bytes = 10'000});
    CHECK(even.when == FasterWhen::kBelow);
    CHECK(even.bandwidth_bps == 3'600'000);
  }
  SUBCASE("faster but larger wins on fast links") {
    const BreakEven even = break_even(choice, {.fixed_ns = 50'000'000, .bytes = 0});
    CHECK(even.when == FasterWhen::kAbove);
    CHECK(even.bandwidth_bps == 400'000);
  }
  CHECK(break_even(choice, {.fixed_ns = 30'000'000, .bytes = 1'001}).when == FasterWhen::kAlways);
  CHECK(break_even(choice, {.fixed_ns = 30'000'001, .bytes = 1'000}).when == FasterWhen::kAlways);
  CHECK(break_even(choice, {.fixed_ns = 29'999'999, .bytes = 1'000}).when == FasterWhen::kNever);
  CHECK(break_even(choice, {.fixed_ns = 30'000'000, .bytes = 999}).when == FasterWhen::kNever);
  CHECK(break_even(choice, choice).when == FasterWhen::kSame);
}

TEST_CASE("the forms of real pictures: the file, quality 90 at model size, pixels") {
  const test::TemporaryFolder folder;
  const std::vector<std::string> names{write_jpeg(folder / "a.jpg", 96, 64)};
  const auto rgb_model = model_of(fbs::ColorOrder::RGB);
  const fbs::Shape shape(32, 48, 3);
  const auto forms = measure_forms(names, *rgb_model->header().preprocessing(), shape);
  REQUIRE_MESSAGE(forms.is_ok(), forms.status().message());
  CHECK(forms->pictures == 1);
  CHECK(forms->file_bytes == std::filesystem::file_size(names[0]));
  CHECK(forms->pixel_bytes == 32 * 48 * 3);
  std::vector<std::uint8_t> pixels(32 * 48 * 3);
  const auto file = read_picture_file(names[0], PictureLimits{});
  REQUIRE(file.is_ok());
  REQUIRE(decode_to_model_size(*file, *rgb_model->header().preprocessing(), shape, PictureLimits{},
                               pixels)
              .is_ok());
  CHECK(forms->jpeg_bytes == encode_jpeg(pixels, 48, 32, 90)->size());
  // The color order of the network does not change the picture that is sent.
  const auto bgr_model = model_of(fbs::ColorOrder::BGR);
  CHECK(measure_forms(names, *bgr_model->header().preprocessing(), shape)->jpeg_bytes ==
        forms->jpeg_bytes);
  std::ofstream(folder / "no.jpg") << "nothing";
  const std::vector<std::string> bad{folder / "no.jpg"};
  CHECK_FALSE(measure_forms(bad, *rgb_model->header().preprocessing(), shape).is_ok());
}

TEST_CASE("without a picture the JPEG's bytes are an estimate by area") {
  const auto forms = estimate_forms({224, 224, 3});
  REQUIRE(forms.is_ok());
  CHECK(forms->pictures == 0);
  CHECK_FALSE(forms->file_bytes.has_value());
  CHECK(forms->jpeg_bytes == estimated_jpeg_bytes(224 * 224, kPeerJpegQuality));
  CHECK(forms->pixel_bytes == 224 * 224 * 3);
}

TEST_CASE("each baseline's time is its parts, and the choice is held against it") {
  const auto model = model_of(fbs::ColorOrder::RGB);
  auto planner = SplitPlanner::create(*model, 0, 0);
  REQUIRE(planner.is_ok());
  const std::string variant = model->header().variants()->Get(0)->name()->str();
  ProfileData edge, server;
  edge.input_ns = 500'000;
  edge.variants.push_back({variant, 1, 1, {4'000'000, 1'000'000}, {0, 0}});
  server.input_ns = 70'000;
  server.variants.push_back({variant, 1, 1, {400'000, 100'000}, {0, 0}});
  REQUIRE(planner->set_edge_profile(edge).is_ok());
  const PictureForms forms{.pictures = 2,
                           .file_bytes = 90'000,
                           .jpeg_bytes = 2'000,
                           .jpeg_encode_ns = 30'000,
                           .pixel_bytes = 4'608};
  planner::Link link{.bandwidth_bps = 8'000'000, .rtt_ns = 1'000, .available = true};
  const auto list = [&] {
    const Plan plan =
        planner->decide({true, 90'000}, {.link = link}, {.policy = planner::Policy::kEdgeOnly});
    REQUIRE(plan.chosen.has_value());
    return list_baselines({&*planner, 1}, plan, forms, link, 80'000);
  };
  REQUIRE(list().size() == 4);
  CHECK_FALSE(list()[2].times.has_value());  // no server's table yet
  REQUIRE(list()[0].times.has_value());
  REQUIRE(planner->set_server_profile(server).is_ok());
  const std::vector<Baseline> baselines = list();
  const std::uint64_t totals[] = {5'500'000, 570'000 + 90'000'000 + 1'000,
                                  530'000 + 570'000 + 2'000'000 + 1'000,
                                  500'000 + 500'000 + 4'608'000 + 1'000};
  const char* names[] = {"edge_only", "file", "jpeg_q90", "pixels_u8"};
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(std::string(baselines[i].name) == names[i]);
    REQUIRE(baselines[i].times.has_value());
    CHECK(baselines[i].times->total_ns == totals[i]);
  }
  CHECK(baselines[1].over_server_limit);
  CHECK_FALSE(baselines[2].over_server_limit);
  CHECK(baselines[0].times->choice->when == FasterWhen::kSame);
  // Edge only takes 5.5 ms; quality 90 takes 1.101 ms and 2,000 bytes: even at 3.637 Mbit/s.
  CHECK(baselines[2].times->choice->when == FasterWhen::kBelow);
  CHECK(baselines[2].times->choice->bandwidth_bps == 2'000 * 8'000'000'000ULL / 4'399'000);
  link.available = false;
  CHECK_FALSE(list()[3].times.has_value());
}

}  // namespace cleave::agent
