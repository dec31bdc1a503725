// SPDX-License-Identifier: Apache-2.0
//
// The comparison with ONNX Runtime is worth what it notices: every kind of node agrees with it as
// imported, and no longer does when any one parameter is broken.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>

#include "engine/importer/importer.h"
#include "tests/engine/ort_breakages.h"
#include "tests/engine/ort_compare.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/ort_session.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Node;
using importer::NodeKind;

// `graph` with the breakage applied, shapes following.
Graph broken(Graph graph, NodeKind kind, const Breakage& breakage) {
  const auto node = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                 [&](const Node& n) { return n.kind == kind; });
  REQUIRE(node != graph.nodes.end());
  breakage.apply(graph, *node);
  for (const Node& n : graph.nodes) {
    const Result<importer::Hwc> shape = importer::infer_shape(graph, n);
    REQUIRE_MESSAGE(shape.is_ok(), shape.status().message());
    graph.values[n.output].shape = *shape;
  }
  return graph;
}

TEST_CASE("every kind of node agrees with ONNX Runtime, and disagrees when broken") {
  if (!have_onnx_runtime()) return;
  std::set<NodeKind> kinds;
  int noticed = 0;
  for (const BreakableNetwork& network : breakable_networks()) {
    INFO(network.name);
    kinds.insert(network.kind);
    const onnx::ModelProto model = to_onnx(network.graph);
    Result<Graph> imported = importer::read_onnx(to_bytes(model));
    REQUIRE_MESSAGE(imported.is_ok(), imported.status().message());
    const Result<OrtComparison> right = compare_with_ort(model, *imported, 5);
    REQUIRE_MESSAGE(right.is_ok(), right.status().message());
    std::printf("%s\n", to_text(network.name, *right).c_str());
    CHECK(right->worst < kOrtTolerance);
    for (const Breakage& breakage : network.breakages) {
      INFO(breakage.what);
      const Result<OrtComparison> wrong =
          compare_with_ort(model, broken(*imported, network.kind, breakage), 5);
      REQUIRE_MESSAGE(wrong.is_ok(), wrong.status().message());
      std::printf("  broken, %s: %.1e\n", breakage.what.c_str(), wrong->worst);
      CHECK(wrong->worst > kOrtTolerance);
      noticed += wrong->worst > kOrtTolerance ? 1 : 0;
    }
  }
  std::printf("%d breakages noticed\n", noticed);
  for (int kind = 0; kind <= static_cast<int>(NodeKind::kMarker); ++kind) {
    CHECK_MESSAGE(kinds.contains(static_cast<NodeKind>(kind)),
                  importer::node_kind_name(static_cast<NodeKind>(kind)));
  }
}

}  // namespace
}  // namespace cleave::test
