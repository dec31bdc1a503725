// SPDX-License-Identifier: Apache-2.0
//
// The families of networks, small: imported from ONNX, equal to ONNX Runtime at every boundary
// tensor, and to the byte the same wherever they are split.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "engine/importer/importer.h"
#include "tests/engine/onnx_families.h"
#include "tests/engine/ort_compare.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_engine.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/ort_session.h"

namespace cleave::test {
namespace {

importer::Graph import(const onnx::ModelProto& model) {
  Result<importer::Graph> graph = importer::read_onnx(to_bytes(model));
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(graph).value();
}

// Returns the number of cuts.
std::size_t check_every_split(const onnx::ModelProto& model) {
  const auto compiled = compile_graph(import(model));
  REQUIRE_MESSAGE(compiled.is_ok(), compiled.status().message());
  const fbs::Shape shape = shape_of(**compiled, input_name(**compiled));
  for (const std::uint32_t batch : {1u, 2u}) {
    const std::vector<float> input = seeded_values(batch * element_count(shape), 7);
    const auto splits = compare_every_split(*compiled, input, batch);
    REQUIRE_MESSAGE(splits.is_ok(), splits.status().message());
    CHECK(splits->cuts == first_variant(**compiled).ops()->size() + 1);
    CHECK_MESSAGE(splits->unequal.empty(), "first at op ", splits->unequal.front());
  }
  return first_variant(**compiled).ops()->size() + 1;
}

void check_against_ort(const std::string& name, const onnx::ModelProto& model, std::size_t cuts) {
  const Result<OrtComparison> comparison = compare_import_with_ort(model, 8);
  REQUIRE_MESSAGE(comparison.is_ok(), comparison.status().message());
  std::printf("%s; %zu cuts byte for byte\n", to_text(name, *comparison).c_str(), cuts);
  // A pool that counts its padding is two ops of ours; the padded tensor has no name in ONNX.
  for (const std::string& name_of_ours : comparison->absent) {
    CHECK_MESSAGE(name_of_ours.ends_with("AveragePool/pad"), "ONNX lacks ", name_of_ours);
  }
  // Each op's output is a boundary tensor of some cut.
  CHECK(comparison->tensors + comparison->absent.size() + 1 == cuts);
  CHECK(comparison->scores_spread > 1e-3);
  CHECK(comparison->worst < kOrtTolerance);
}

void check(const std::string& name, const onnx::ModelProto& model) {
  INFO(name);
  const std::size_t cuts = check_every_split(model);
  CHECK(cuts > 8);
  if (have_onnx_runtime()) check_against_ort(name, model, cuts);
}

std::size_t count(const importer::Graph& graph, importer::NodeKind kind) {
  return static_cast<std::size_t>(std::ranges::count(graph.nodes, kind, &importer::Node::kind));
}

}  // namespace

TEST_CASE("networks of every family split anywhere and agree with ONNX Runtime everywhere") {
  for (const FamilyNetwork& network : family_networks()) check(network.name, network.model);
}

TEST_CASE("MobileNets of several widths and input sizes do") {
  struct Case {
    const char* name;
    std::uint32_t input;
    double width;
  };
  for (const Case& c : {Case{"mobilenet_v1", 32, 0.25}, Case{"mobilenet_v1", 64, 0.75},
                        Case{"mobilenet_v1", 32, 1.0}, Case{"mobilenet_v2", 32, 0.35},
                        Case{"mobilenet_v2", 96, 0.5}, Case{"mobilenet_v2", 64, 0.75},
                        Case{"mobilenet_v2", 32, 1.4}}) {
    Result<importer::Graph> graph = importer::make_zoo_model(
        c.name, {.input = c.input, .width = c.width, .classes = 10, .seed = 21});
    REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
    name_apart(*graph);
    char title[64];
    std::snprintf(title, sizeof(title), "%s %.2f %u", c.name, c.width, c.input);
    check(title, to_onnx(*graph));
  }
}

TEST_CASE("the families have the forms that they are here for") {
  using importer::NodeKind;
  importer::Graph dense = import(make_densenet());
  importer::Graph v1 = import(make_shufflenet_v1(3)), v2 = import(make_shufflenet_v2());
  CHECK(count(v1, NodeKind::kSelectChannels) == 4);
  CHECK(count(v2, NodeKind::kSelectChannels) == 4 + 2 * 2);
  for (importer::Graph* graph : {&dense, &v1, &v2}) {
    REQUIRE(importer::validate(*graph).is_ok());
    importer::fuse(*graph);
  }
  // A batch norm behind a Concat stays; one that a convolution reads alone does not.
  CHECK(count(dense, NodeKind::kAffine) == 8);
  CHECK(count(dense, NodeKind::kClamp) == 0);
  // Behind an ungrouped convolution a shuffle is its outputs' order; between a grouped and a
  // depthwise one it stays.
  CHECK(count(v1, NodeKind::kSelectChannels) == 3);
  // Kept halves, and the shuffle that a depthwise convolution reads.
  CHECK(count(v2, NodeKind::kSelectChannels) == 3);
}

}  // namespace cleave::test
