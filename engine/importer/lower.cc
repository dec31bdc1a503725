// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/importer/importer.h"

namespace cleave::importer {
namespace {

// A 1 x 1 depthwise kernel [1][1][channel] holds the factors as they are.
void lower_affine(Node& node) {
  if (node.kind != NodeKind::kAffine) return;
  node.kind = NodeKind::kDepthwiseConv2D;
  node.window = {};
  node.padding = {};
  node.multiplier = 1;
}

// A 1 x 1 convolution of ones and zeros copies the channels: what it adds are products with zero,
// so that every finite value comes out as it went in.
void lower_select(Node& node, std::size_t inputs) {
  node.kind = NodeKind::kConv2D;
  node.kernel.assign(node.channels.size() * inputs, 0.0f);
  for (std::size_t c = 0; c < node.channels.size(); ++c) {
    node.kernel[c * inputs + node.channels[c]] = 1.0f;
  }
  node.channels.clear();
}

void remove_dead_nodes(Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  needed[graph.output] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (!needed[node->output]) continue;
    for (const ValueId input : node->inputs) needed[input] = true;
  }
  std::erase_if(graph.nodes, [&](const Node& node) { return !needed[node.output]; });
}

// Values in the order in which they come to be: the input, then each op's output.
void renumber_values(Graph& graph) {
  std::vector<ValueId> renamed(graph.values.size(), kNoValue);
  std::vector<Value> values;
  const auto take = [&](ValueId old) {
    renamed[old] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.values[old]));
  };
  take(graph.input);
  for (Node& node : graph.nodes) {
    for (ValueId& input : node.inputs) input = renamed[input];
    take(node.output);
    node.output = renamed[node.output];
  }
  graph.input = renamed[graph.input];
  graph.output = renamed[graph.output];
  graph.values = std::move(values);
}

}  // namespace

Status lower(Graph& graph) {
  remove_dead_nodes(graph);
  if (graph.nodes.empty()) {
    return {StatusCode::kUnsupported, "the network computes nothing: its output is its input"};
  }
  for (Node& node : graph.nodes) {
    if (node.kind == NodeKind::kMarker) {
      return {StatusCode::kInternal, "marker \"" + node.name + "\" is left: fuse before lowering"};
    }
    lower_affine(node);
    if (node.kind == NodeKind::kSelectChannels) {
      lower_select(node, graph.values[node.inputs[0]].shape.channels);
    }
  }
  renumber_values(graph);
  return validate(graph);
}

}  // namespace cleave::importer
