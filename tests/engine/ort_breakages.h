// SPDX-License-Identifier: Apache-2.0
//
// One small network for each kind of node, and ways to break it: each changes one parameter of that
// node and keeps the network well formed. The comparison with ONNX Runtime must notice every one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/importer/graph.h"

namespace cleave::test {

struct Breakage {
  std::string what;
  // Changes `node`, the first of its kind in `graph`.
  std::function<void(importer::Graph& graph, importer::Node& node)> apply;
};

struct BreakableNetwork {
  importer::NodeKind kind;
  std::string name;
  importer::Graph graph;
  std::vector<Breakage> breakages;
};

// At least one for each importer::NodeKind.
std::vector<BreakableNetwork> breakable_networks();

}  // namespace cleave::test
