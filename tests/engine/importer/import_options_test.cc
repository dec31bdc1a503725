// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/import_options.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/graph_builder.h"
#include "tests/support/temporary_folder.h"

using namespace cleave::importer;
using cleave::StatusCode;
using cleave::test::GraphBuilder;
using cleave::test::TemporaryFolder;

namespace {

Graph network(std::uint32_t channels = 3, std::uint32_t outputs = 2) {
  GraphBuilder b({4, 4, channels});
  return b.finish(b.fully_connected(b.input(), outputs));
}

// Applies `options` to a network with `channels`; the preprocessing, or the status.
cleave::Result<GraphPreprocessing> applied(const ImportOptions& options,
                                           std::uint32_t channels = 3) {
  Graph g = network(channels);
  CLEAVE_RETURN_IF_ERROR(apply_options(options, g));
  return g.preprocessing;
}

bool refused(const ImportOptions& options, const char* flag, std::uint32_t channels = 3) {
  const cleave::Status status = applied(options, channels).status();
  return status.code() == StatusCode::kInvalidArgument &&
         status.message().find(flag) != std::string::npos;
}

}  // namespace

TEST_CASE("means and deviations: one for all channels, one each, in both units, or a factor") {
  CHECK(applied({.mean = {127.5}})->mean == std::vector<float>{127.5f, 127.5f, 127.5f});
  CHECK(applied({.deviation = {1, 2, 3}})->deviation == std::vector<float>{1, 2, 3});
  CHECK(applied({.mean01 = {0.5}})->mean[2] == 127.5f);
  // torchvision's 0.485 and 0.229, as u8 units.
  CHECK(applied({.mean01 = {0.485, 0.456, 0.406}})->mean[0] == doctest::Approx(123.675));
  CHECK(applied({.deviation01 = {0.229, 0.224, 0.225}})->deviation[0] == doctest::Approx(58.395));
  CHECK(applied({.scale = 1.0 / 255})->deviation[1] == doctest::Approx(255));
}

TEST_CASE("what the source says stays unless a flag says otherwise") {
  Graph g = network();
  g.preprocessing.mean = {1, 2, 3};
  g.preprocessing.deviation = {4, 5, 6};
  REQUIRE(apply_options({.deviation = {7}, .licence = "MIT"}, g).is_ok());
  CHECK(g.preprocessing.mean == std::vector<float>{1, 2, 3});
  CHECK(g.preprocessing.deviation == std::vector<float>{7, 7, 7});
  CHECK(g.licence == "MIT");
  CHECK(g.name == "test");
}

TEST_CASE("unknown is what neither source nor user said") {
  Graph g = network();
  CHECK(preprocessing_unknown(g));
  REQUIRE(apply_options({.mean = {0}}, g).is_ok());
  CHECK_FALSE(preprocessing_unknown(g));
}

TEST_CASE("numbers that cannot be meant are refused with their flag") {
  CHECK(refused({.mean = {1, 2}}, "--mean"));
  CHECK(refused({.mean01 = {1e300}}, "--mean01"));
  CHECK(refused({.deviation = {0}}, "--std"));
  CHECK(refused({.deviation01 = {1, 2, 3, 4}}, "--std01"));
  CHECK(refused({.scale = 0.0}, "--scale"));
}

TEST_CASE("color order must fit the channels") {
  using Order = GraphPreprocessing::ColorOrder;
  CHECK(applied({.color = "bgr"})->color_order == Order::kBgr);
  CHECK(applied({.color = "gray"}, 1)->color_order == Order::kGray);
  CHECK(refused({.color = "gray"}, "--color"));
  CHECK(refused({.color = "rgb"}, "--color", 1));
  CHECK(refused({.color = "cmyk"}, "--color"));
}

TEST_CASE("crop: none, the largest centre square, or a fraction of it") {
  using Crop = GraphPreprocessing::Crop;
  CHECK(applied({.crop = "none"})->crop == Crop::kNone);
  CHECK(applied({.crop = "center"})->crop_ppm == 1'000'000);
  CHECK(applied({.crop = "center:0.875"})->crop == Crop::kCenterSquare);
  CHECK(applied({.crop = "center:0.875"})->crop_ppm == 875'000);
  for (const char* bad : {"", "centre", "center:", "center:0", "center:1.5", "center:nan",
                          "center:0.5x", "center0.5", "centerx0.5", "center:-1"}) {
    CAPTURE(bad);
    CHECK(refused({.crop = bad}, "--crop"));
  }
}

TEST_CASE("labels are lines, with either line end, as many as outputs") {
  const TemporaryFolder folder;
  const std::string path = folder / "labels.txt";
  const auto write = [&](const char* text) { std::ofstream(path, std::ios::binary) << text; };
  Graph g = network();
  write("a cat\r\na dog\r\n");
  REQUIRE(apply_options({.labels_path = path}, g).is_ok());
  CHECK(g.labels == std::vector<std::string>{"a cat", "a dog"});
  write("no line end\nlast");
  REQUIRE(apply_options({.labels_path = path}, g).is_ok());
  CHECK(g.labels[1] == "last");
  write("one\n");
  CHECK(refused({.labels_path = path}, "1 lines"));
  write("");
  CHECK(refused({.labels_path = path}, "0 lines"));
  CHECK(applied({.labels_path = folder / "none"}).status().code() == StatusCode::kNotFound);
}
