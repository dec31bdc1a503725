// SPDX-License-Identifier: Apache-2.0
//
// The recognisers see graphs as exports bring them: without zoo layers, in several dialects.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/importer/importer.h"
#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::test::GraphBuilder;

namespace {

// The zoo network as a reader would give it: no layers, other names.
Graph exported(const std::string& name, const ZooOptions& options = {}) {
  auto made = make_zoo_model(name, options);
  REQUIRE_MESSAGE(made.is_ok(), made.status().message());
  Graph g = std::move(*made);
  g.layers.clear();
  int number = 100;
  for (Node& n : g.nodes) {
    n.layers.clear();
    n.name = "node_" + std::to_string(number++);
    if (n.kind != NodeKind::kMarker) n.source_type = node_kind_name(n.kind);
  }
  return g;
}

// Takes nodes of `kind` out, as a converter that folds or drops them does.
void drop(Graph& g, NodeKind kind) {
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].kind != kind) continue;
    const ValueId from = g.nodes[i].inputs[0], to = g.nodes[i].output;
    for (Node& n : g.nodes) std::replace(n.inputs.begin(), n.inputs.end(), to, from);
    if (g.output == to) g.output = from;
  }
  std::erase_if(g.nodes, [&](const Node& n) { return n.kind == kind; });
}

void append(Graph& g, NodeKind kind) {
  Node n;
  n.kind = kind;
  n.name = "last";
  n.source_type = node_kind_name(kind);
  n.inputs = {g.output};
  n.output = g.add_value("last", g.values[g.output].shape);
  g.output = n.output;
  g.nodes.push_back(n);
}

std::vector<std::string> names(const Graph& g) {
  std::vector<std::string> result;
  for (const GraphLayer& layer : g.layers) result.push_back(layer.name);
  return result;
}

// VGG in structure, with three channels throughout.
Graph thin_vgg(const std::vector<int>& blocks, bool batch_norm) {
  GraphBuilder b({32, 32, 3});
  ValueId v = b.input();
  for (const int convolutions : blocks) {
    for (int i = 0; i < convolutions; ++i) {
      v = b.conv2d(v, 3, 3, 1);
      v = b.relu(batch_norm ? b.affine(v) : v);
    }
    v = b.pool(NodeKind::kMaxPool2D, v, 2, 2);
  }
  v = b.marker(b.pool(NodeKind::kAveragePool2D, v, 1, 1), "Flatten");
  for (int i = 0; i < 2; ++i) v = b.marker(b.relu(b.fully_connected(v, 4)), "Dropout");
  return b.finish(b.fully_connected(v, 4));
}

void check_layers_never_fall(const Graph& g) {
  for (std::size_t i = 1; i < g.nodes.size(); ++i) {
    CHECK(g.nodes[i].layers.front() >= g.nodes[i - 1].layers.back());
  }
}

// Small enough to be built many times.
const ZooOptions kSmallMobileNet{.input = 32, .width = 0.35, .classes = 3};

}  // namespace

TEST_CASE("a network that comes without layers gets those that the zoo gives it") {
  for (const char* name : {"alexnet", "mobilenet_v2"}) {
    CAPTURE(name);
    const auto zoo = make_zoo_model(name, {.classes = 3});
    Graph g = exported(name, {.classes = 3});
    assign_layers(g);
    REQUIRE(g.layers.size() == zoo->layers.size());
    for (std::size_t i = 0; i < g.layers.size(); ++i) {
      CHECK(g.layers[i].name == zoo->layers[i].name);
      CHECK(g.layers[i].kind == zoo->layers[i].kind);
    }
    for (std::size_t i = 0; i < g.nodes.size(); ++i) {
      if (g.nodes[i].kind != NodeKind::kMarker) CHECK(g.nodes[i].layers == zoo->nodes[i].layers);
    }
  }
}

TEST_CASE("layers that are there stay") {
  auto made = make_zoo_model("mobilenet_v1", kSmallMobileNet);
  Graph g = std::move(*made);
  assign_layers(g);
  CHECK(g.layers.size() == 28);
}

TEST_CASE("dropout that an export leaves out is a layer still, without nodes") {
  Graph g = exported("alexnet", {.classes = 3});
  drop(g, NodeKind::kMarker);
  assign_layers(g);
  REQUIRE(g.layers.size() == 21);
  CHECK(g.layers[14].name == "classifier.0");
  CHECK(g.layers[14].kind == "Dropout");
  CHECK(std::none_of(g.nodes.begin(), g.nodes.end(),
                     [](const Node& n) { return n.layers.front() == 14; }));
}

TEST_CASE("a dropout that is there belongs to the dropout layer, a flatten to the layer before") {
  Graph g = exported("alexnet", {.classes = 3});
  const auto first_dropout = std::find_if(g.nodes.begin(), g.nodes.end(), [](const Node& n) {
    return n.kind == NodeKind::kMarker && n.source_type == "Dropout";
  });
  REQUIRE(first_dropout != g.nodes.end());
  Node flatten;
  flatten.source_type = "Flatten";
  flatten.name = "flatten";
  flatten.inputs = first_dropout->inputs;
  flatten.output = g.add_value("flatten", g.values[flatten.inputs[0]].shape);
  first_dropout->inputs = {flatten.output};
  const auto at = g.nodes.insert(first_dropout, flatten);
  assign_layers(g);
  REQUIRE(g.layers.size() == 21);
  CHECK(g.layers[at->layers[0]].name == "avgpool");
  CHECK(g.layers[(at + 1)->layers[0]].name == "classifier.0");
}

TEST_CASE("AlexNet without its idle average pool, and with a softmax, has 21 layers") {
  Graph g = exported("alexnet", {.classes = 3});
  drop(g, NodeKind::kAveragePool2D);
  append(g, NodeKind::kSoftmax);
  assign_layers(g);
  CHECK(g.layers.size() == 21);
  CHECK(g.layers[g.nodes.back().layers[0]].name == "classifier.6");
}

TEST_CASE("VGG counts: 28, 32, 38, 44, and one more per convolution with batch norms") {
  const std::vector<std::pair<std::vector<int>, std::size_t>> counts = {
      {{1, 1, 2, 2, 2}, 28}, {{2, 2, 2, 2, 2}, 32}, {{2, 2, 3, 3, 3}, 38}, {{2, 2, 4, 4, 4}, 44}};
  for (const auto& [blocks, count] : counts) {
    const std::size_t layers = count;  // clang 14 captures no binding
    CAPTURE(layers);
    Graph plain = thin_vgg(blocks, false);
    assign_layers(plain);
    CHECK(plain.layers.size() == layers);
    CHECK(plain.layers.back().name == "classifier.6");
    check_layers_never_fall(plain);
    Graph normed = thin_vgg(blocks, true);
    assign_layers(normed);
    const auto convolutions =
        static_cast<std::size_t>(std::accumulate(blocks.begin(), blocks.end(), 0));
    CHECK(normed.layers.size() == layers + convolutions);
    check_layers_never_fall(normed);
  }
}

TEST_CASE("the average pool of VGG belongs to the last layer of its features") {
  Graph g = thin_vgg({1, 1, 2, 2, 2}, false);
  assign_layers(g);
  const auto pool = std::find_if(g.nodes.begin(), g.nodes.end(),
                                 [](const Node& n) { return n.kind == NodeKind::kAveragePool2D; });
  CHECK(g.layers[pool->layers[0]].name == "features.20");
}

TEST_CASE("a network that gives out a value from its middle is not VGG") {
  Graph g = thin_vgg({1, 1, 2, 2, 2}, false);
  g.output = g.nodes[0].output;
  assign_layers(g);
  CHECK(g.layers[0].name == "n0");
}

TEST_CASE("blocks of other depths are not VGG") {
  Graph g = thin_vgg({1, 1, 1, 1, 1}, false);
  assign_layers(g);
  CHECK(g.layers[0].name == "n0");
}

TEST_CASE("MobileNetV2 is known by its blocks: folded norms, any width, pads before strides") {
  for (const double width : {0.1, 0.35, 1.0, 1.4}) {
    CAPTURE(width);
    Graph g = exported("mobilenet_v2", {.input = 32, .width = width, .classes = 3});
    drop(g, NodeKind::kAffine);
    drop(g, NodeKind::kMarker);
    append(g, NodeKind::kSoftmax);
    assign_layers(g);
    CHECK(g.layers.size() == 21);
    CHECK(g.layers.back().name == "classifier");
    check_layers_never_fall(g);
  }
}

TEST_CASE("MobileNetV2 with explicit pads, as Keras writes it") {
  Graph g = exported("mobilenet_v2", kSmallMobileNet);
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].window.stride_height != 2) continue;
    Node pad;
    pad.kind = NodeKind::kPad;
    pad.padding = {0, 1, 1, 0};
    pad.name = "pad";
    pad.inputs = g.nodes[i].inputs;
    Hwc shape = g.values[pad.inputs[0]].shape;
    pad.output = g.add_value("pad", {shape.height + 1, shape.width + 1, shape.channels});
    g.nodes[i].padding = {};
    g.nodes[i].inputs = {pad.output};
    g.nodes.insert(g.nodes.begin() + static_cast<std::ptrdiff_t>(i++), pad);
  }
  REQUIRE(validate(g).is_ok());
  assign_layers(g);
  REQUIRE(g.layers.size() == 21);
  const auto pad = std::find_if(g.nodes.begin(), g.nodes.end(),
                                [](const Node& n) { return n.kind == NodeKind::kPad; });
  CHECK(pad->layers == (pad + 1)->layers);
}

TEST_CASE("an addition of another value than the block's input is another network") {
  Graph g = exported("mobilenet_v2", kSmallMobileNet);
  const auto add = std::find_if(g.nodes.begin(), g.nodes.end(),
                                [](const Node& n) { return n.kind == NodeKind::kAdd; });
  REQUIRE(add != g.nodes.end());
  add->inputs[1] = add->inputs[0];
  assign_layers(g);
  CHECK(g.layers.size() > 21);
}

TEST_CASE("one block less is another network") {
  GraphBuilder b({32, 32, 3});
  ValueId v = b.relu(b.conv2d(b.input(), 8, 3, 1));
  for (int block = 0; block < 16; ++block) {
    v = b.relu(b.conv2d(v, 16, 1));
    v = b.conv2d(b.relu(b.depthwise(v, 1, 3, 1)), 8, 1);
  }
  v = b.relu(b.conv2d(v, 32, 1));
  Graph g = b.finish(b.fully_connected(b.node(NodeKind::kGlobalAveragePool, {v}), 3));
  assign_layers(g);
  CHECK(g.layers.size() == g.nodes.size());
}

TEST_CASE("any other network has a layer per computing node; markers go with the one before") {
  GraphBuilder b({6, 6, 2});
  ValueId v = b.conv2d(b.marker(b.input(), "Identity"), 3, 3);
  v = b.marker(b.relu(v), "Dropout");
  v = b.fully_connected(v, 4);
  Graph g = b.finish(b.node(NodeKind::kSoftmax, {v}));
  assign_layers(g);
  CHECK(names(g) == std::vector<std::string>{"n1", "n2", "n4", "n5"});
  CHECK(g.layers[0].kind == "Conv2D");
  std::vector<std::uint32_t> layers;
  for (const Node& n : g.nodes) layers.push_back(n.layers.at(0));
  CHECK(layers == std::vector<std::uint32_t>{0, 0, 1, 1, 2, 3});
}

TEST_CASE("layer names are unique, and none reads as a number or keyword of --split") {
  GraphBuilder b({6, 6, 2});
  ValueId v = b.input();
  for (int i = 0; i < 5; ++i) v = b.relu(b.conv2d(v, 2, 1));
  Graph g = b.finish(v);
  const std::vector<std::string> sources = {"17",  "all",  "op:3", "x",   "x",
                                            "x_2", "auto", "",     "12a", "0"};
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    g.nodes[i].name = sources[i];
    g.nodes[i].source_type = "Conv";
  }
  g.values[g.nodes[7].output].name = "from_output";
  assign_layers(g);
  CHECK(names(g) == std::vector<std::string>{"Conv_17", "Conv_all", "Conv_op:3", "x", "x_2",
                                             "x_2_2", "Conv_auto", "from_output", "12a", "Conv_0"});
}
