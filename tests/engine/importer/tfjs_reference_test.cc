// SPDX-License-Identifier: Apache-2.0
//
// Networks that a package ships (npm nsfwjs) through our importer and engine, against TF.js on the
// same pixels.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/importer/import_options.h"
#include "engine/importer/importer.h"
#include "tests/support/photo_classifier.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

constexpr double kTolerance = 1e-3;

// Where fetch_tfjs.sh installs; nothing, said or (with $CLEAVE_REQUIRE_TFJS) failed, when absent.
std::optional<std::string> tfjs_folder() {
  const char* folder = std::getenv("CLEAVE_TFJS_DIR");
  if (folder != nullptr && std::filesystem::is_directory(folder)) return folder;
  const char* required = std::getenv("CLEAVE_REQUIRE_TFJS");
  if (required != nullptr && std::string(required) == "1") {
    FAIL("no TF.js: run bash tests/support/fetch_tfjs.sh");
  }
  std::printf("skipped: no TF.js (bash tests/support/fetch_tfjs.sh)\n");
  return std::nullopt;
}

std::string quoted(const std::string& argument) { return "'" + argument + "'"; }

// Three pictures that differ in brightness, contrast and detail.
std::vector<std::uint8_t> picture(int which, const fbs::Shape& shape) {
  std::vector<std::uint8_t> pixels;
  std::uint32_t random = 12345;
  for (std::uint32_t y = 0; y < shape.height(); ++y) {
    for (std::uint32_t x = 0; x < shape.width(); ++x) {
      for (std::uint32_t c = 0; c < shape.channels(); ++c) {
        random = random * 1664525u + 1013904223u;
        const std::uint32_t smooth = (x * (c + 1) + y * 2) / 4 % 256;
        const std::uint32_t squares = (x / 32 + y / 32 + c) % 2 * 200 + 20;
        const std::uint32_t value = which == 0 ? smooth : which == 1 ? squares : random >> 24;
        pixels.push_back(static_cast<std::uint8_t>(value));
      }
    }
  }
  return pixels;
}

void write_pixels(const std::string& path, const std::vector<std::uint8_t>& pixels) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(pixels.data()),
             static_cast<std::streamsize>(pixels.size()));
}

// One line of scores a picture.
std::vector<std::vector<float>> read_scores(const std::string& path) {
  std::vector<std::vector<float>> all;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    if (parsed.is_object()) all.push_back(parsed["scores"].get<std::vector<float>>());
  }
  return all;
}

struct ShippedNetwork {
  const char* name;     // its folder in the package
  const char* backend;  // of TF.js: plain JavaScript takes minutes for the larger one
};

// Scores of TF.js for the pixel files, a line each.
std::vector<std::vector<float>> run_tfjs(const std::string& tfjs, const TemporaryFolder& folder,
                                         const ShippedNetwork& network,
                                         const std::vector<std::string>& pixels) {
  std::string command = "node tests/support/tfjs_reference.mjs " + quoted(tfjs) + " " +
                        quoted(folder / "model.json") + " 0 255 --backend " + network.backend;
  for (const std::string& path : pixels) command += " " + quoted(path);
  command += " > " + quoted(folder / "scores");
  REQUIRE(std::system(command.c_str()) == 0);
  return read_scores(folder / "scores");
}

PhotoClassifier import_network(const std::string& tfjs, const TemporaryFolder& folder,
                               const ShippedNetwork& network) {
  const std::string unpack = "node toolchains/unpack_nsfwjs.mjs " +
                             quoted(tfjs + "/node_modules/nsfwjs") + " " +
                             quoted(folder.path().string()) + " " + network.name;
  REQUIRE(std::system(unpack.c_str()) == 0);
  importer::ImportOptions options;
  options.mean = {0};
  options.deviation = {255};
  options.labels_path = folder / "labels.txt";
  auto classifier = PhotoClassifier::create(folder / "model.json", [&](importer::Graph& graph) {
    const Status status = importer::apply_options(options, graph);
    REQUIRE_MESSAGE(status.is_ok(), status.message());
  });
  REQUIRE_MESSAGE(classifier.is_ok(), classifier.status().message());
  return std::move(*classifier);
}

// MobileNetV2 has depthwise and zero padding, Inception v3 averages with padding and joins
// branches.
TEST_CASE("the networks that nsfwjs ships give TF.js' scores") {
  const auto tfjs = tfjs_folder();
  if (!tfjs) return;
  for (const ShippedNetwork& network :
       {ShippedNetwork{"mobilenet_v2", "cpu"}, {"inception_v3", "wasm"}}) {
    CAPTURE(network.name);
    const TemporaryFolder folder;
    PhotoClassifier classifier = import_network(*tfjs, folder, network);
    REQUIRE(classifier.model().header().labels()->size() == 5);
    std::vector<std::vector<float>> ours;
    std::vector<std::string> files;
    for (int i = 0; i < 3; ++i) {
      const std::vector<std::uint8_t> pixels = picture(i, classifier.input_shape());
      files.push_back(folder / std::to_string(i).append(".u8"));
      write_pixels(files.back(), pixels);
      const auto scores = classifier.classify_pixels(pixels);
      REQUIRE(scores.is_ok());
      ours.emplace_back(scores->begin(), scores->end());
    }
    const auto theirs = run_tfjs(*tfjs, folder, network, files);
    REQUIRE(theirs.size() == ours.size());
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      REQUIRE(theirs[i].size() == 5);
      for (std::size_t c = 0; c < 5; ++c) {
        largest = std::max(largest, std::fabs(double{ours[i][c]} - double{theirs[i][c]}));
      }
    }
    // The pictures must differ by more than the tolerance, or agreement would mean nothing.
    CHECK(std::fabs(ours[0][0] - ours[1][0]) > 10 * kTolerance);
    CHECK(std::fabs(ours[0][0] - ours[2][0]) > 10 * kTolerance);
    std::printf("nsfwjs %s: largest difference from TF.js %.2g\n", network.name, largest);
    CHECK(largest <= kTolerance);
  }
}

}  // namespace
}  // namespace cleave::test
