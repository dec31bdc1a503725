// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <utility>

#include "engine/importer/importer.h"
#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::StatusCode;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::relative_error;
using cleave::test::seeded_values;

TEST_CASE("an affine node becomes a depthwise convolution with the same results") {
  GraphBuilder b({4, 5, 3});
  Graph g = b.finish(b.affine(b.input()));
  const std::vector<float> input = seeded_values(60, 3);
  const std::vector<float> before = interpret(g, input);
  REQUIRE(lower(g).is_ok());
  CHECK(g.nodes[0].kind == NodeKind::kDepthwiseConv2D);
  CHECK(relative_error(before, interpret(g, input)) == 0);
}

TEST_CASE("selected channels become a convolution that copies them, bit for bit") {
  GraphBuilder b({4, 5, 3});
  Node select;
  select.kind = NodeKind::kSelectChannels;
  select.inputs = {b.input()};
  select.channels = {2, 0, 2, 1};
  Graph g = b.finish(b.add(std::move(select)));
  const std::vector<float> input = seeded_values(60, 3);
  const std::vector<float> before = interpret(g, input);
  REQUIRE(lower(g).is_ok());
  CHECK(g.nodes[0].kind == NodeKind::kConv2D);
  CHECK(g.nodes[0].kernel == std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0});
  CHECK(before == interpret(g, input));
}

TEST_CASE("nodes that do not reach the output vanish with their values") {
  GraphBuilder b({4, 4, 3});
  const ValueId kept = b.conv2d(b.input(), 2, 1);
  b.fully_connected(b.conv2d(kept, 9, 1), 4);
  const ValueId output = b.relu(kept);
  Graph g = b.finish(output);
  REQUIRE(lower(g).is_ok());
  CHECK(g.nodes.size() == 2);
  CHECK(g.values.size() == 3);
}

TEST_CASE("values are numbered as they come to be: the input, then each op's output") {
  GraphBuilder b({4, 4, 3});
  b.conv2d(b.input(), 2, 1);  // dead
  const ValueId v = b.relu(b.conv2d(b.input(), 2, 1));
  Graph g = b.finish(v);
  REQUIRE(lower(g).is_ok());
  CHECK(g.input == 0);
  for (std::size_t i = 0; i < g.nodes.size(); ++i) CHECK(g.nodes[i].output == i + 1);
  CHECK(g.output == g.nodes.size());
}

TEST_CASE("a network that computes nothing is refused") {
  GraphBuilder b({4, 4, 3});
  Graph g = b.finish(b.input());
  CHECK(lower(g).code() == StatusCode::kUnsupported);
}

TEST_CASE("a marker that fusion should have removed is a bug, not a wrong model") {
  GraphBuilder b({4, 4, 3});
  Graph g = b.finish(b.marker(b.relu(b.input()), "Dropout"));
  CHECK(lower(g).code() == StatusCode::kInternal);
}
