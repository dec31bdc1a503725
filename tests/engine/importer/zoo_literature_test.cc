// SPDX-License-Identifier: Apache-2.0
//
// The zoo at full size. Layer counts: torchvision's modules, as the design counts them.
// Multiply-adds and parameters: the papers and torchvision's model tables.
#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "engine/importer/importer.h"
#include "tests/support/graph_interpreter.h"

using namespace cleave::importer;
using cleave::test::multiply_adds;
using cleave::test::parameter_count;

namespace {

Graph zoo(const std::string& name, const ZooOptions& options = {}) {
  auto graph = make_zoo_model(name, options);
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(*graph);
}

struct Literature {
  const char* name;
  std::size_t layers;
  std::uint64_t parameters;
  double giga_multiply_adds;
};

}  // namespace

TEST_CASE("layers, parameters and multiply-adds are the literature's") {
  for (const Literature& known : {Literature{"alexnet", 21, 61'100'840, 0.714},
                                  {"vgg11", 28, 132'863'336, 7.61},
                                  {"vgg13", 32, 133'047'848, 11.31},
                                  {"vgg16", 38, 138'357'544, 15.47},
                                  {"vgg19", 44, 143'667'240, 19.63},
                                  {"vgg16_bn", 51, 138'365'992, 15.47},
                                  {"mobilenet_v1", 28, 4'231'976, 0.569},
                                  {"mobilenet_v2", 21, 3'504'872, 0.301}}) {
    CAPTURE(known.name);
    const Graph g = zoo(known.name);
    CHECK(g.layers.size() == known.layers);
    CHECK(parameter_count(g) == known.parameters);
    CHECK(std::abs(static_cast<double>(multiply_adds(g)) / 1e9 - known.giga_multiply_adds) <
          0.003 * known.giga_multiply_adds);
  }
}

TEST_CASE("VGG at twice the size averages its features down to 7 x 7") {
  const Graph g = zoo("vgg11", {.input = 448, .classes = 10});
  CHECK(g.layers.size() == 28);
  CHECK(parameter_count(g) == 132'863'336 - 990 * 4097);
}

TEST_CASE("a VGG that comes without layers gets those that the zoo gives it") {
  const Graph known = zoo("vgg11_bn");
  Graph g = known;
  g.layers.clear();
  for (Node& n : g.nodes) n.layers.clear();
  assign_layers(g);
  REQUIRE(g.layers.size() == known.layers.size());
  for (std::size_t i = 0; i < g.layers.size(); ++i) {
    CHECK(g.layers[i].name == known.layers[i].name);
    CHECK(g.layers[i].kind == known.layers[i].kind);
  }
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].kind != NodeKind::kMarker) CHECK(g.nodes[i].layers == known.nodes[i].layers);
  }
}
