// SPDX-License-Identifier: Apache-2.0
//
// `cleave-import import` from end to end: a network written as ONNX, its flags, its self-test.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/importer/importer.h"
#include "schemas/model_reader.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/engine/importer/cli_runner.h"
#include "tests/support/onnx_writer.h"

using namespace cleave::test;
using cleave::ExitCode;
using cleave::ModelFile;

namespace {

void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

cleave::importer::Graph zoo_network() {
  return *cleave::importer::make_zoo_model("mobilenet_v2",
                                           {.input = 32, .width = 0.1, .classes = 2});
}

// A folder with net.onnx, a MobileNetV2 with two scores.
class ImportFolder : public TemporaryFolder {
 public:
  ImportFolder() { write_file(*this / "net.onnx", to_bytes(to_onnx(zoo_network()))); }
};

std::shared_ptr<const ModelFile> opened(const std::string& path) {
  auto file = ModelFile::open(path, {.verify_segments = true});
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  return *file;
}

}  // namespace

TEST_CASE("an ONNX MobileNetV2 has the layers of the zoo's, and importing twice the same bytes") {
  const ImportFolder folder;
  const Finished first = run_import(folder, "import net.onnx a.cleave --mean 127.5 --std 127.5");
  CHECK(first.exit_code == 0);
  CHECK(first.err.empty());
  CHECK(first.out.find("21 layers") != std::string::npos);
  CHECK(run_import(folder, "import net.onnx b.cleave --mean 127.5 --std 127.5").exit_code == 0);
  CHECK(content(folder / "a.cleave") == content(folder / "b.cleave"));
}

TEST_CASE("without preprocessing it imports, and warns in one line that names the flags") {
  const ImportFolder folder;
  const Finished outcome = run_import(folder, "import net.onnx a.cleave --json");
  CHECK(outcome.exit_code == 0);
  CHECK(is_one_line(outcome.err));
  CHECK(outcome.err.find("--mean") != std::string::npos);
  CHECK(nlohmann::json::parse(outcome.out)["source_format"] == "onnx");
}

TEST_CASE("flags end up in the model file") {
  const ImportFolder folder;
  std::ofstream(folder / "labels.txt") << "safe\nunsafe\n";
  const Finished outcome =
      run_import(folder,
                 "import net.onnx a.cleave --mean01 0.485,0.456,0.406 --std01 0.25 --color bgr "
                 "--crop center:0.875 --labels labels.txt --licence MIT --name detector");
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  const auto file = opened(folder / "a.cleave");
  const cleave::fbs::Model& model = file->header();
  CHECK(model.name()->str() == "detector");
  CHECK(model.licence()->str() == "MIT");
  CHECK(model.labels()->Get(1)->str() == "unsafe");
  CHECK(model.preprocessing()->mean()->Get(0) == doctest::Approx(123.675));
  CHECK(model.preprocessing()->deviation()->Get(2) == doctest::Approx(63.75));
  CHECK(model.preprocessing()->color_order() == cleave::fbs::ColorOrder::BGR);
  CHECK(model.preprocessing()->crop_ppm() == 875'000);
}

TEST_CASE("a self-test keeps the picture at model size with finite scores that are not all alike") {
  const ImportFolder folder;
  const Pixels pixels = noise(64 * 48 * 3, 5);
  write_file(folder / "photo.png", make_png({.width = 64, .height = 48}, rows_of(pixels, 64, 3)));
  const Finished outcome =
      run_import(folder, "import net.onnx a.cleave --mean 127.5 --std 127.5 --self-test photo.png");
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  const auto file = opened(folder / "a.cleave");
  const cleave::fbs::SelfTest* test = file->header().self_test();
  REQUIRE(test != nullptr);
  CHECK(test->pixels()->size() == 32 * 32 * 3);
  CHECK(test->scores()->Get(0) != test->scores()->Get(1));
  const Finished bad = run_import(folder, "import net.onnx b.cleave --self-test net.onnx");
  CHECK(bad.exit_code == code(ExitCode::kBadInput));
  CHECK(bad.err.find("net.onnx") != std::string::npos);
}

TEST_CASE("labels that do not fit stop the import before anything is written") {
  const ImportFolder folder;
  std::ofstream(folder / "labels.txt") << "only one\n";
  const Finished outcome = run_import(folder, "import net.onnx a.cleave --labels labels.txt");
  CHECK(outcome.exit_code == code(ExitCode::kUsage));
  CHECK(outcome.err.find("2 outputs") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "a.cleave"));
}

TEST_CASE("a network that its exporter calls as it calls all is named as its file") {
  const ImportFolder folder;
  auto model = to_onnx(zoo_network());
  model.mutable_graph()->set_name("main_graph");
  write_file(folder / "litter.onnx", to_bytes(model));
  REQUIRE(run_import(folder, "import litter.onnx a.cleave").exit_code == 0);
  CHECK(opened(folder / "a.cleave")->header().name()->str() == "litter");
}
