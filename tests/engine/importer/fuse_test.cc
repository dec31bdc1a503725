// SPDX-License-Identifier: Apache-2.0
//
// Whatever is fused, the scores must stay; each case also says which ops are left.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "engine/importer/importer.h"
#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::relative_error;
using cleave::test::seeded_values;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
using Kinds = std::vector<NodeKind>;

Kinds kinds(const Graph& g) {
  Kinds result;
  for (const Node& n : g.nodes) result.push_back(n.kind);
  return result;
}

std::vector<float> picture(const Graph& g) {
  const Hwc& s = g.values[g.input].shape;
  std::vector<float> data = seeded_values(std::size_t{s.height} * s.width * s.channels, 77);
  for (float& x : data) x *= 4;  // beyond the clamps
  return data;
}

// Fuses `g`, checks that it computes what it did, and returns it.
Graph fused(Graph g, double tolerance = 0) {
  REQUIRE(validate(g).is_ok());
  const std::vector<float> input = picture(g);
  const std::vector<float> before = interpret(g, input);
  fuse(g);
  REQUIRE(validate(g).is_ok());
  CHECK(relative_error(before, interpret(g, input)) <= tolerance);
  return g;
}

constexpr double kRounding = 1e-6;

}  // namespace

TEST_CASE("batch norm and ReLU6 go into a grouped convolution") {
  GraphBuilder b({7, 7, 4});
  const ValueId v = b.affine(b.conv2d(b.input(), 6, 3, 1, 2));
  const Graph g = fused(b.finish(b.clamp(v, 0, 6)), kRounding);
  CHECK(kinds(g) == Kinds{NodeKind::kConv2D});
  CHECK(g.nodes[0].clamp_min == 0);
  CHECK(g.nodes[0].clamp_max == 6);
}

TEST_CASE("batch norm goes into a depthwise convolution with a multiplier, which gains a bias") {
  GraphBuilder b({7, 7, 4});
  const Graph g = fused(b.finish(b.affine(b.depthwise(b.input(), 3, 3, 1))), kRounding);
  CHECK(kinds(g) == Kinds{NodeKind::kDepthwiseConv2D});
  CHECK(g.nodes[0].bias.size() == 12);
}

TEST_CASE("a shift behind a fully connected layer becomes its bias; the kernel keeps its bits") {
  GraphBuilder b({3, 3, 2});
  Graph source = b.finish(b.affine(b.fully_connected(b.input(), 5), /*factor_one=*/true));
  source.nodes[0].kernel_quantization = {QuantizationParameters::Type::kS8, {0.1f}, {0}, -1};
  const std::vector<float> kernel = source.nodes[0].kernel, shift = source.nodes[1].bias;
  const Graph g = fused(source, kRounding);
  CHECK(kinds(g) == Kinds{NodeKind::kFullyConnected});
  CHECK(g.nodes[0].kernel == kernel);
  CHECK(g.nodes[0].bias == shift);
  CHECK_FALSE(g.nodes[0].kernel_quantization.empty());
}

TEST_CASE("a folded factor takes the kernel off its stored grid: the parameters go") {
  GraphBuilder b({3, 3, 2});
  Graph source = b.finish(b.affine(b.conv2d(b.input(), 5, 1)));
  source.nodes[0].kernel_quantization = {QuantizationParameters::Type::kS8, {0.1f}, {0}, -1};
  CHECK(fused(source, kRounding).nodes[0].kernel_quantization.empty());
}

TEST_CASE("two affine nodes become one") {
  GraphBuilder b({3, 3, 2});
  const Graph g = fused(b.finish(b.affine(b.affine(b.input()))), kRounding);
  CHECK(kinds(g) == Kinds{NodeKind::kAffine});
}

TEST_CASE("an affine node behind a clamp stays, for a clamp does not commute with it") {
  GraphBuilder b({3, 3, 2});
  const Graph g = fused(b.finish(b.affine(b.relu(b.conv2d(b.input(), 4, 1)))));
  CHECK(kinds(g) == Kinds{NodeKind::kConv2D, NodeKind::kAffine});
}

TEST_CASE("clamps join: ReLU then Clip, and bounds that do not meet") {
  GraphBuilder b({3, 3, 2});
  const Graph joined = fused(b.finish(b.clamp(b.relu(b.input()), -1, 2)));
  CHECK(kinds(joined) == Kinds{NodeKind::kClamp});
  CHECK(joined.nodes[0].clamp_min == 0);
  CHECK(joined.nodes[0].clamp_max == 2);
  GraphBuilder c({3, 3, 2});
  const Graph apart = fused(c.finish(c.clamp(c.clamp(c.input(), 0, 1), 2, 3)));
  CHECK(apart.nodes[0].clamp_min == 2);
  CHECK(apart.nodes[0].clamp_max == 2);
}

TEST_CASE("a clamp goes into pools, sums and products") {
  for (const NodeKind kind : {NodeKind::kMaxPool2D, NodeKind::kAveragePool2D}) {
    GraphBuilder b({6, 6, 2});
    CHECK(kinds(fused(b.finish(b.relu(b.pool(kind, b.input(), 3, 2, 1))))) == Kinds{kind});
  }
  for (const NodeKind kind : {NodeKind::kAdd, NodeKind::kMultiply}) {
    GraphBuilder b({6, 6, 2});
    const ValueId other = b.conv2d(b.input(), 2, 1);
    const Graph g = fused(b.finish(b.clamp(b.node(kind, {b.input(), other}), 0, 1)));
    CHECK(kinds(g) == Kinds{NodeKind::kConv2D, kind});
  }
}

TEST_CASE("a clamp behind what cannot clamp stays an op") {
  for (const NodeKind kind : {NodeKind::kSigmoid, NodeKind::kHardSwish, NodeKind::kSoftmax,
                              NodeKind::kGlobalAveragePool}) {
    GraphBuilder b({6, 6, 2});
    const Graph g = fused(b.finish(b.clamp(b.node(kind, {b.input()}), 0.2f, 0.4f)));
    CHECK(kinds(g) == Kinds{kind, NodeKind::kClamp});
  }
}

TEST_CASE("a zero pad goes into the convolution it feeds, uneven sides too") {
  GraphBuilder b({6, 6, 2});
  const ValueId padded = b.pad(b.input(), {1, 2, 3, 4});
  const Graph g = fused(b.finish(b.depthwise(b.conv2d(padded, 3, 3), 1, 3, 1)));
  CHECK(kinds(g) == Kinds{NodeKind::kConv2D, NodeKind::kDepthwiseConv2D});
  CHECK(g.nodes[0].padding.left == 4);
  CHECK(g.nodes[0].padding.bottom == 3);
}

TEST_CASE("pads add up on their way into a convolution that pads itself") {
  GraphBuilder b({6, 6, 2});
  const ValueId padded = b.pad(b.pad(b.input(), {1, 0, 0, 0}), {0, 0, 0, 2});
  const Graph g = fused(b.finish(b.conv2d(padded, 3, 3, 1)));
  CHECK(kinds(g) == Kinds{NodeKind::kConv2D});
  CHECK(g.nodes[0].padding.top == 2);
  CHECK(g.nodes[0].padding.left == 3);
}

TEST_CASE("a pad stays before pools, and when its value is not zero") {
  for (const NodeKind kind : {NodeKind::kMaxPool2D, NodeKind::kAveragePool2D}) {
    GraphBuilder b({6, 6, 2});
    const ValueId padded = b.pad(b.input(), {1, 1, 1, 1});
    CHECK(kinds(fused(b.finish(b.pool(kind, padded, 2, 2)))) == Kinds{NodeKind::kPad, kind});
  }
  GraphBuilder b({6, 6, 2});
  const Graph g = fused(b.finish(b.conv2d(b.pad(b.input(), {1, 1, 1, 1}, -1), 2, 3)));
  CHECK(kinds(g) == Kinds{NodeKind::kPad, NodeKind::kConv2D});
}

TEST_CASE("a value that something else reads is not fused away") {
  GraphBuilder b({6, 6, 2});
  const ValueId conv = b.conv2d(b.input(), 2, 1);
  const ValueId sum = b.node(NodeKind::kAdd, {b.relu(conv), conv});
  CHECK(fused(b.finish(sum)).nodes.size() == 3);
  GraphBuilder c({6, 6, 2});
  const ValueId padded = c.pad(c.input(), {1, 1, 1, 1});
  const ValueId both = c.node(NodeKind::kConcat, {c.conv2d(padded, 2, 1), padded});
  CHECK(fused(c.finish(both)).nodes.size() == 3);
}

TEST_CASE("the graph's output is not fused away when another node reads it") {
  GraphBuilder b({6, 6, 2});
  const ValueId conv = b.conv2d(b.input(), 2, 1);
  b.relu(conv);
  const Graph g = fused(b.finish(conv));
  CHECK(g.nodes.size() == 2);
}

TEST_CASE("markers and what computes nothing vanish, at the input, inside and at the output") {
  GraphBuilder b({6, 6, 2});
  ValueId v = b.conv2d(b.marker(b.input(), "Identity"), 3, 1);
  v = b.pool(NodeKind::kAveragePool2D, b.marker(v, "Dropout"), 1, 1);
  v = b.pad(b.clamp(v, -kInf, kInf), {});
  v = b.node(NodeKind::kConcat, {v});
  const Graph g = fused(b.finish(b.marker(b.relu(v), "Flatten")));
  CHECK(kinds(g) == Kinds{NodeKind::kConv2D});
  CHECK(g.output == g.nodes[0].output);
}

TEST_CASE("a pool of one pixel with a stride is work, not nothing") {
  GraphBuilder b({6, 6, 2});
  const Graph g = fused(b.finish(b.pool(NodeKind::kMaxPool2D, b.input(), 1, 2)));
  CHECK(kinds(g) == Kinds{NodeKind::kMaxPool2D});
}

TEST_CASE("the layers of what is merged stay, ascending") {
  GraphBuilder b({6, 6, 2});
  const ValueId padded = b.pad(b.input(), {1, 1, 1, 1});
  Graph source = b.finish(b.relu(b.affine(b.conv2d(padded, 2, 3))));
  assign_layers(source);
  REQUIRE(source.layers.size() == 4);
  const Graph g = fused(source, kRounding);
  REQUIRE(g.nodes.size() == 1);
  CHECK(g.nodes[0].layers == std::vector<std::uint32_t>{0, 1, 2, 3});
}

TEST_CASE("a network with every kind of node keeps its scores") {
  GraphBuilder b({9, 9, 3});
  ValueId v = b.relu(b.affine(b.conv2d(b.pad(b.input(), {0, 1, 1, 0}), 8, 3)));
  const ValueId gate = b.node(NodeKind::kSigmoid, {b.node(NodeKind::kGlobalAveragePool, {v})});
  v = b.node(NodeKind::kMultiply, {v, gate});
  const ValueId branch = b.node(NodeKind::kHardSwish, {b.affine(b.depthwise(v, 1, 3, 1))});
  v = b.relu(b.node(NodeKind::kAdd, {branch, v}));
  v = b.node(NodeKind::kConcat, {v, b.pool(NodeKind::kMaxPool2D, v, 3, 1, 1)});
  Node lrn;
  lrn.kind = NodeKind::kLrn;
  lrn.inputs = {v};
  lrn.size = 5;
  lrn.alpha = 0.5f;
  lrn.beta = 0.75f;
  lrn.bias_k = 1;
  v = b.add(lrn);
  Node leaky;
  leaky.kind = NodeKind::kLeakyRelu;
  leaky.inputs = {b.affine(v)};
  leaky.alpha = 0.1f;
  v = b.pool(NodeKind::kAveragePool2D, b.add(leaky), 3, 3);
  v = b.affine(b.fully_connected(b.marker(v, "Flatten"), 7), true);
  const Graph g = fused(b.finish(b.node(NodeKind::kSoftmax, {v})), kRounding);
  CHECK(g.nodes.size() == 15);
}

namespace {

ValueId select(GraphBuilder& b, ValueId from, std::vector<std::uint32_t> channels) {
  Node n;
  n.kind = NodeKind::kSelectChannels;
  n.inputs = {from};
  n.channels = std::move(channels);
  return b.add(std::move(n));
}

}  // namespace

TEST_CASE("shuffled channels become the order of a dense kernel's inputs, or of its outputs") {
  {
    GraphBuilder b({3, 4, 6});
    const ValueId shuffled = select(b, b.relu(b.input()), {3, 0, 5, 1, 4, 2});
    CHECK(kinds(fused(b.finish(b.conv2d(shuffled, 4, 3)), kRounding)) ==
          Kinds{NodeKind::kClamp, NodeKind::kConv2D});
  }
  {
    GraphBuilder b({3, 4, 6});
    const ValueId shuffled = select(b, b.relu(b.input()), {3, 0, 5, 1, 4, 2});
    CHECK(kinds(fused(b.finish(b.fully_connected(shuffled, 4)), kRounding)) ==
          Kinds{NodeKind::kClamp, NodeKind::kFullyConnected});
  }
  GraphBuilder b({3, 4, 3});
  const ValueId conv = b.relu(b.affine(b.conv2d(b.input(), 4, 3)));
  CHECK(kinds(fused(b.finish(select(b, conv, {2, 0, 3, 1})), kRounding)) ==
        Kinds{NodeKind::kConv2D});
}

TEST_CASE("fewer channels are fewer outputs; more inputs only where that is less to compute") {
  {
    GraphBuilder b({3, 4, 3});
    const Graph g = fused(b.finish(select(b, b.conv2d(b.input(), 6, 3), {5, 2})));
    CHECK(kinds(g) == Kinds{NodeKind::kConv2D});
    CHECK(g.nodes[0].kernel.size() == 2 * 3 * 3 * 3);
    CHECK(g.nodes[0].bias.size() == 2);
  }
  for (const std::uint32_t outputs : {2u, 50u}) {
    GraphBuilder b({3, 4, 8});
    const ValueId part = select(b, b.relu(b.input()), {6, 1});
    // 1 x 1: 8 multiply-adds a pixel for each output instead of 2 and 16 for the selection.
    const Graph g = fused(b.finish(b.conv2d(part, outputs, 1)), kRounding);
    CHECK(g.nodes.size() == (outputs == 2 ? 2u : 3u));
  }
}

TEST_CASE("a shuffle that is split again vanishes, one that is read otherwise stays") {
  for (const bool read_otherwise : {false, true}) {
    GraphBuilder b({3, 4, 6});
    const ValueId shuffled = select(b, b.relu(b.input()), {3, 0, 5, 1, 4, 2});
    const ValueId left = select(b, shuffled, {0, 1, 2}), right = select(b, shuffled, {3, 4, 5});
    ValueId y = b.node(NodeKind::kAdd, {left, b.node(NodeKind::kSigmoid, {right})});
    if (read_otherwise) y = b.node(NodeKind::kConcat, {y, shuffled});
    const Graph g = fused(b.finish(y));
    const auto selections = std::count_if(g.nodes.begin(), g.nodes.end(), [](const Node& n) {
      return n.kind == NodeKind::kSelectChannels;
    });
    CHECK(selections == (read_otherwise ? 3 : 2));
  }
}

TEST_CASE("selections stay beside grouped and depthwise kernels, shared values, and repeats") {
  const auto stays = [](const std::function<ValueId(GraphBuilder&)>& build) {
    GraphBuilder b({3, 4, 6});
    const Graph g = fused(b.finish(build(b)));
    return std::any_of(g.nodes.begin(), g.nodes.end(),
                       [](const Node& n) { return n.kind == NodeKind::kSelectChannels; });
  };
  CHECK(stays([](GraphBuilder& b) {
    return b.conv2d(select(b, b.input(), {3, 0, 5, 1, 4, 2}), 4, 1, 0, 2);
  }));
  CHECK(stays([](GraphBuilder& b) {
    return select(b, b.conv2d(b.input(), 6, 1, 0, 2), {3, 0, 5, 1, 4, 2});
  }));
  CHECK(stays([](GraphBuilder& b) {
    return select(b, b.depthwise(b.input(), 1, 3), {3, 0, 5, 1, 4, 2});
  }));
  CHECK(stays([](GraphBuilder& b) { return select(b, b.conv2d(b.input(), 4, 1), {3, 0, 3, 1}); }));
  CHECK(stays([](GraphBuilder& b) {
    const ValueId x = b.conv2d(b.input(), 4, 1);
    return b.node(NodeKind::kAdd, {select(b, x, {3, 0, 2, 1}), x});
  }));
}
