// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/channel_groups.h"

#include <algorithm>
#include <numeric>

namespace cleave::importer {
namespace {

// Sets that grow together; the least member stands for each.
class DisjointSets {
 public:
  explicit DisjointSets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }

  std::size_t find(std::size_t member) {
    while (parent_[member] != member) {
      parent_[member] = parent_[parent_[member]];
      member = parent_[member];
    }
    return member;
  }

  void join(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

// A channel times a factor in is that channel times the factor out.
bool passes_factors(const Node& node) {
  switch (node.kind) {
    case NodeKind::kMaxPool2D:
    case NodeKind::kAveragePool2D:
    case NodeKind::kGlobalAveragePool:
    case NodeKind::kClamp:
    case NodeKind::kLeakyRelu:
    case NodeKind::kAdd:
    case NodeKind::kConcat:
      return true;
    case NodeKind::kPad:
      return node.pad_value == 0;
    default:
      return false;
  }
}

// Scaled values must be clamped to what scaled values may be: at zero, or beyond it.
bool clamps_around_zero(const Node& node) { return node.clamp_min <= 0 && node.clamp_max >= 0; }

}  // namespace

bool takes_up_factors(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D ||
         kind == NodeKind::kFullyConnected;
}

ChannelGroups::ChannelGroups(const Graph& graph) : component_of_(graph.values.size()) {
  std::size_t slots = 0;
  for (const Value& value : graph.values) {
    first_slot_.push_back(slots);
    slots += value.shape.channels;
  }
  DisjointSets groups(slots);
  DisjointSets components(graph.values.size());
  std::vector<bool> fixed(graph.values.size(), false);
  fixed[graph.input] = true;
  fixed[graph.output] = true;
  for (const Node& node : graph.nodes) {
    const bool passes = passes_factors(node);
    if (!clamps_around_zero(node)) fixed[node.output] = true;
    if (!passes && !takes_up_factors(node.kind)) {
      fixed[node.output] = true;
      for (const ValueId input : node.inputs) fixed[input] = true;
    }
    if (!passes) continue;
    std::size_t first = first_slot_[node.output];
    for (const ValueId input : node.inputs) {
      components.join(input, node.output);
      const std::size_t channels = graph.values[input].shape.channels;
      for (std::size_t c = 0; c < channels; ++c) groups.join(first_slot_[input] + c, first + c);
      if (node.kind == NodeKind::kConcat) first += channels;
    }
  }
  free_.assign(slots, true);
  for (std::size_t slot = 0; slot < slots; ++slot) group_of_slot_.push_back(groups.find(slot));
  for (ValueId value = 0; value < graph.values.size(); ++value) {
    component_of_[value] = static_cast<ValueId>(components.find(value));
    if (!fixed[value]) continue;
    for (std::size_t c = 0; c < graph.values[value].shape.channels; ++c) {
      free_[group_of(value, c)] = false;
    }
  }
}

}  // namespace cleave::importer
