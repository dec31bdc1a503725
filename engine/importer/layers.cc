// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/known_networks.h"

namespace cleave::importer {
namespace {

std::string layer_kind(const Node& node) {
  return node.source_type.empty() ? node_kind_name(node.kind) : node.source_type;
}

// --split takes numbers, `all` and `op:N` beside layer names: a layer must not be called so.
bool reads_as_split(const std::string& name) {
  const bool number =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return number || name == "all" || name == "auto" || name.starts_with("op:");
}

std::string layer_name(const Graph& graph, const Node& node) {
  const std::string& name = node.name.empty() ? graph.values[node.output].name : node.name;
  return reads_as_split(name) ? layer_kind(node) + "_" + name : name;
}

// The name itself, or the first of name_2, name_3 ... that is free.
std::string unique_name(std::string name, std::unordered_set<std::string>& used) {
  std::string candidate = name;
  for (std::size_t i = 2; !used.insert(candidate).second; ++i) {
    candidate = name + "_" + std::to_string(i);
  }
  return candidate;
}

void assign_node_layers(Graph& graph) {
  std::unordered_set<std::string> used;
  for (Node& node : graph.nodes) {
    if (node.kind != NodeKind::kMarker) {
      graph.layers.push_back({unique_name(layer_name(graph, node), used), layer_kind(node)});
    }
    const std::size_t count = graph.layers.size();
    node.layers = {static_cast<std::uint32_t>(count == 0 ? 0 : count - 1)};
  }
  if (graph.layers.empty()) graph.layers.push_back({"identity", "Identity"});
}

}  // namespace

void assign_layers(Graph& graph) {
  if (!graph.layers.empty()) return;
  if (assign_alexnet_layers(graph) || assign_vgg_layers(graph) ||
      assign_mobilenet_v2_layers(graph)) {
    return;
  }
  assign_node_layers(graph);
}

}  // namespace cleave::importer
