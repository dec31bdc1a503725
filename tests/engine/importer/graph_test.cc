// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/graph.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::StatusCode;
using cleave::test::GraphBuilder;

namespace {

Node window_node(NodeKind kind, std::uint32_t window, std::uint32_t stride, Padding2D padding,
                 std::uint32_t dilation = 1) {
  Node n;
  n.kind = kind;
  n.inputs = {0};
  n.window = {window, window, stride, stride, dilation, dilation};
  n.padding = padding;
  return n;
}

cleave::Result<Hwc> shape_after(Hwc input, const Node& node) {
  Graph g;
  g.add_value("input", input);
  return infer_shape(g, node);
}

}  // namespace

TEST_CASE("the first convolution of AlexNet: 224 pixels, window 11, stride 4, padding 2 give 55") {
  Node conv = window_node(NodeKind::kConv2D, 11, 4, {2, 2, 2, 2});
  conv.kernel.assign(64 * 11 * 11 * 3, 0.0f);
  CHECK(*shape_after({224, 224, 3}, conv) == Hwc{55, 55, 64});
}

TEST_CASE("trailing padding expresses ceil mode: 112 pixels, window 3, stride 2 give 55, or 56") {
  const auto pool = [](std::uint32_t trailing) {
    return window_node(NodeKind::kMaxPool2D, 3, 2, {0, trailing, trailing, 0});
  };
  CHECK(shape_after({112, 112, 64}, pool(0))->height == 55);
  CHECK(shape_after({112, 112, 64}, pool(1))->height == 56);
}

TEST_CASE("dilation widens the window: 7 pixels, window 3, dilation 2 give 3") {
  Node conv = window_node(NodeKind::kConv2D, 3, 1, {}, 2);
  conv.kernel.assign(9 * 2, 0.0f);
  CHECK(*shape_after({7, 7, 2}, conv) == Hwc{3, 3, 1});
}

TEST_CASE("groups divide what each output channel reads") {
  Node conv = window_node(NodeKind::kConv2D, 3, 1, {1, 1, 1, 1});
  conv.groups = 2;
  conv.kernel.assign(8 * 9 * 3, 0.0f);
  CHECK(*shape_after({5, 5, 6}, conv) == Hwc{5, 5, 8});
  conv.groups = 4;
  CHECK_FALSE(shape_after({5, 5, 6}, conv).is_ok());
  conv.groups = 2;
  conv.kernel.assign(3 * 9 * 3, 0.0f);  // three outputs for two groups
  CHECK_FALSE(shape_after({5, 5, 6}, conv).is_ok());
}

TEST_CASE("a depthwise multiplier multiplies channels") {
  Node conv = window_node(NodeKind::kDepthwiseConv2D, 3, 2, {0, 1, 1, 0});
  conv.multiplier = 2;
  CHECK(*shape_after({224, 224, 3}, conv) == Hwc{112, 112, 6});
}

TEST_CASE("a pooling window must not lie wholly in the padding") {
  CHECK(shape_after({4, 4, 1}, window_node(NodeKind::kMaxPool2D, 2, 1, {1, 1, 1, 1})).is_ok());
  CHECK_FALSE(
      shape_after({4, 4, 1}, window_node(NodeKind::kMaxPool2D, 2, 1, {2, 0, 0, 0})).is_ok());
  CHECK_FALSE(
      shape_after({4, 4, 1}, window_node(NodeKind::kMaxPool2D, 2, 1, {0, 0, 2, 0})).is_ok());
  // Taps at -1 and 1 of a row of one pixel.
  CHECK_FALSE(
      shape_after({1, 1, 1}, window_node(NodeKind::kMaxPool2D, 2, 1, {1, 1, 1, 1}, 2)).is_ok());
}

TEST_CASE("a window that does not fit once has no output") {
  CHECK_FALSE(shape_after({4, 4, 1}, window_node(NodeKind::kAveragePool2D, 5, 1, {})).is_ok());
}

TEST_CASE("zero and huge windows, strides and paddings are refused before they size anything") {
  const std::uint32_t huge = std::numeric_limits<std::uint32_t>::max();
  for (const std::uint32_t bad : {0u, huge}) {
    CHECK_FALSE(shape_after({8, 8, 1}, window_node(NodeKind::kMaxPool2D, bad, 1, {})).is_ok());
    CHECK_FALSE(shape_after({8, 8, 1}, window_node(NodeKind::kMaxPool2D, 2, bad, {})).is_ok());
  }
  Node pad = window_node(NodeKind::kPad, 1, 1, {huge, 0, huge, 0});
  CHECK_FALSE(shape_after({8, 8, 1}, pad).is_ok());
}

TEST_CASE("the second operand of a sum is of the first's shape or one pixel") {
  GraphBuilder b({4, 4, 3});
  const ValueId same = b.relu(b.input());
  const ValueId pixel = b.node(NodeKind::kGlobalAveragePool, {b.input()});
  CHECK(b.shape(b.node(NodeKind::kAdd, {b.input(), same})) == Hwc{4, 4, 3});
  CHECK(b.shape(b.node(NodeKind::kMultiply, {b.input(), pixel})) == Hwc{4, 4, 3});
  Node reversed;
  reversed.kind = NodeKind::kAdd;
  reversed.inputs = {pixel, b.input()};
  const Graph g = b.finish(pixel);
  CHECK_FALSE(infer_shape(g, reversed).is_ok());
}

TEST_CASE("concatenation adds channels and demands one height and width") {
  GraphBuilder b({4, 4, 3});
  const ValueId wide = b.conv2d(b.input(), 5, 1);
  CHECK(b.shape(b.node(NodeKind::kConcat, {b.input(), wide})) == Hwc{4, 4, 8});
  const ValueId small = b.conv2d(b.input(), 5, 2);
  Node uneven;
  uneven.kind = NodeKind::kConcat;
  uneven.inputs = {wide, small};
  CHECK_FALSE(infer_shape(b.finish(small), uneven).is_ok());
}

TEST_CASE("validate finds each way a graph can be ill formed") {
  const auto sound = [] {
    GraphBuilder b({6, 6, 2});
    ValueId v = b.conv2d(b.input(), 4, 3);
    v = b.affine(v);
    return b.finish(b.fully_connected(b.relu(v), 5));
  };
  REQUIRE(validate(sound()).is_ok());
  const auto broken = [&](auto damage) {
    Graph g = sound();
    damage(g);
    const cleave::Status status = validate(g);
    return status.code() == StatusCode::kCorrupt && !status.message().empty();
  };
  CHECK(broken([](Graph& g) { g.input = kNoValue; }));
  CHECK(broken([](Graph& g) { g.output = kNoValue; }));
  CHECK(broken([](Graph& g) { g.output = g.add_value("orphan", {}); }));
  CHECK(broken([](Graph& g) { g.values[g.input].shape.height = 0; }));
  CHECK(broken([](Graph& g) { g.nodes[0].inputs.clear(); }));
  CHECK(broken([](Graph& g) { g.nodes[0].inputs = {g.output}; }));
  CHECK(broken([](Graph& g) { g.nodes[1].output = g.nodes[0].output; }));
  CHECK(broken([](Graph& g) { g.nodes.push_back(Node(g.nodes.back())); }));
  CHECK(broken([](Graph& g) { g.nodes[0].output = 99; }));
  CHECK(broken([](Graph& g) { g.nodes[0].kernel.pop_back(); }));
  CHECK(broken([](Graph& g) { g.nodes[0].bias.pop_back(); }));
  CHECK(broken([](Graph& g) { g.nodes[1].kernel.push_back(1); }));
  CHECK(broken([](Graph& g) { g.nodes[2].bias.push_back(1); }));
  CHECK(broken([](Graph& g) { g.nodes[2].clamp_max = -1; }));
  CHECK(broken([](Graph& g) { g.nodes[2].clamp_min = std::numeric_limits<float>::quiet_NaN(); }));
  CHECK(broken([](Graph& g) { g.values[g.output].shape.channels = 6; }));
  CHECK(broken([](Graph& g) { g.nodes[0].layers = {0}; }));
  CHECK(broken([](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }));
  CHECK(broken([](Graph& g) { g.nodes[0].kernel_quantization.scale = {1, 2}; }));
}

TEST_CASE("an error names the node") {
  GraphBuilder b({6, 6, 2});
  Graph g = b.finish(b.conv2d(b.input(), 4, 3));
  g.nodes[0].name = "stem/Conv";
  g.nodes[0].groups = 0;
  CHECK(validate(g).message().find("Conv2D \"stem/Conv\"") != std::string::npos);
}
