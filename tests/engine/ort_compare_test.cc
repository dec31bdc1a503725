// SPDX-License-Identifier: Apache-2.0
//
// Whole networks against ONNX Runtime: the scores, and every boundary tensor of every cut.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "engine/importer/importer.h"
#include "tests/engine/ort_compare.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_engine.h"
#include "tests/support/onnx_seed.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/ort_session.h"
#include "tests/support/shared_data.h"

namespace cleave::test {
namespace {

void check(const std::string& name, const Result<OrtComparison>& comparison) {
  REQUIRE_MESSAGE(comparison.is_ok(), name << ": " << comparison.status().message());
  std::printf("%s\n", to_text(name, *comparison).c_str());
  std::fflush(stdout);
  CHECK_MESSAGE(comparison->absent.empty(), name << " lacks " << comparison->absent.front());
  CHECK(comparison->tensors > 1);
  CHECK(comparison->scores_spread > 1e-6);
  CHECK(comparison->worst < kOrtTolerance);
}

// One run of the whole network for each cut.
void check_splits(const std::string& name, const onnx::ModelProto& model) {
  Result<importer::Graph> graph = importer::read_onnx(to_bytes(model));
  REQUIRE_MESSAGE(graph.is_ok(), name << ": " << graph.status().message());
  const auto compiled = compile_graph(std::move(graph).value());
  REQUIRE_MESSAGE(compiled.is_ok(), name << ": " << compiled.status().message());
  const fbs::Shape shape = shape_of(**compiled, input_name(**compiled));
  const auto splits =
      compare_every_split(*compiled, seeded_values(element_count(shape), 3), /*batch=*/1);
  REQUIRE_MESSAGE(splits.is_ok(), name << ": " << splits.status().message());
  std::printf("%s: %zu cuts byte for byte\n", name.c_str(), splits->cuts);
  CHECK(splits->cuts > 8);
  CHECK_MESSAGE(splits->unequal.empty(), name << ": first at op " << splits->unequal.front());
}

onnx::ModelProto load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(bytes));
  return model;
}

struct ZooCase {
  const char* name;
  importer::ZooOptions options;
};

TEST_CASE("zoo networks agree with ONNX Runtime at every cut") {
  if (!have_onnx_runtime()) return;
  std::printf("ONNX Runtime %s\n", onnx_runtime_version().c_str());
  const ZooCase cases[] = {
      {"alexnet", {.input = 224, .seed = 11}},
      {"vgg11", {.input = 224, .seed = 12}},
      {"vgg11_bn", {.input = 224, .seed = 13}},
      {"vgg16", {.input = 224, .seed = 17}},
      {"mobilenet_v1", {.input = 96, .width = 0.5, .seed = 14}},
      {"mobilenet_v2", {.input = 96, .width = 0.35, .seed = 15}},
      {"mobilenet_v2", {.input = 224, .seed = 16}},
  };
  for (const ZooCase& zoo : cases) {
    Result<importer::Graph> graph = importer::make_zoo_model(zoo.name, zoo.options);
    REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
    name_apart(*graph);
    const onnx::ModelProto model = to_onnx(*graph);
    const std::string name = zoo.name + std::string(" ") + std::to_string(zoo.options.input);
    check(name, compare_with_ort(model, std::move(graph).value(), 1));
  }
}

TEST_CASE("a zoo network that went through ONNX agrees with ONNX Runtime") {
  if (!have_onnx_runtime()) return;
  Result<importer::Graph> graph = importer::make_zoo_model("mobilenet_v2", {.input = 64});
  REQUIRE(graph.is_ok());
  name_apart(*graph);
  check("mobilenet_v2 64 imported", compare_import_with_ort(to_onnx(*graph), 2));
}

TEST_CASE("the ONNX project's networks split anywhere and agree with ONNX Runtime everywhere") {
  if (!have_onnx_runtime()) return;
  const auto data = shared_data();
  if (!data) return;
  for (const char* name :
       {"light_bvlc_alexnet", "light_squeezenet", "light_vgg19", "light_zfnet512"}) {
    onnx::ModelProto model = load(*data / "onnx_light" / (std::string(name) + ".onnx"));
    CHECK(seed_constant_weights(model, 100) > 10);
    check(name, compare_import_with_ort(model, 3));
    check_splits(name, model);
  }
}

TEST_CASE("trained networks agree with ONNX Runtime at every cut") {
  if (!have_onnx_runtime()) return;
  const auto data = shared_data();
  if (!data) return;
  for (const char* name : {"squeezenet_v1.1", "vgg6_cifar10"}) {
    const onnx::ModelProto model = load(*data / "models" / (std::string(name) + ".onnx"));
    check(name, compare_import_with_ort(model, 4));
  }
}

}  // namespace
}  // namespace cleave::test
