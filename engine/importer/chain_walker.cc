// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/chain_walker.h"

#include <algorithm>
#include <utility>

namespace cleave::importer {
namespace {

bool is_dropout(const Node& node) {
  return node.source_type.find("ropout") !=
         std::string::npos;  // Dropout, dropout, SpatialDropout2D
}

bool is_transparent(const Node& node) {
  return node.kind == NodeKind::kMarker || (node.kind == NodeKind::kPad && node.pad_value == 0);
}

}  // namespace

ChainWalker::ChainWalker(const Graph& graph) : graph_(graph), current_(graph.input) {}

void ChainWalker::begin_layer(std::string name, std::string kind) {
  // Markers are still the layer's before this one, but a dropout may be what this layer is.
  if (!layers_.empty()) take_markers(/*leave_dropout=*/kind == "Dropout");
  layers_.push_back({std::move(name), std::move(kind)});
}

void ChainWalker::take_markers(bool leave_dropout) {
  while (next_ < graph_.nodes.size()) {
    const Node& node = graph_.nodes[next_];
    if (node.kind != NodeKind::kMarker || node.inputs[0] != current_) return;
    if (leave_dropout && is_dropout(node)) return;
    take_until(next_, node.output);
  }
}

std::size_t ChainWalker::skip_to_computing(ValueId& value) const {
  std::size_t index = next_;
  while (index < graph_.nodes.size() && is_transparent(graph_.nodes[index]) &&
         graph_.nodes[index].inputs[0] == value) {
    value = graph_.nodes[index++].output;
  }
  return index;
}

const Node* ChainWalker::peek() const {
  ValueId value = current_;
  const std::size_t index = skip_to_computing(value);
  return index < graph_.nodes.size() ? &graph_.nodes[index] : nullptr;
}

const Node* ChainWalker::take_until(std::size_t last, ValueId output) {
  layer_of_.resize(last + 1, static_cast<std::uint32_t>(layers_.size() - 1));
  next_ = last + 1;
  current_ = output;
  return &graph_.nodes[last];
}

const Node* ChainWalker::take(NodeKind kind) {
  ValueId value = current_;
  const std::size_t index = skip_to_computing(value);
  if (index == graph_.nodes.size()) return nullptr;
  const Node& node = graph_.nodes[index];
  if (node.kind != kind || node.inputs.size() != 1 || node.inputs[0] != value) return nullptr;
  return take_until(index, node.output);
}

const Node* ChainWalker::take_add(ValueId skipped) {
  if (next_ == graph_.nodes.size()) return nullptr;
  const Node& node = graph_.nodes[next_];
  if (node.kind != NodeKind::kAdd) return nullptr;
  const bool joins = (node.inputs[0] == current_ && node.inputs[1] == skipped) ||
                     (node.inputs[1] == current_ && node.inputs[0] == skipped);
  return joins ? take_until(next_, node.output) : nullptr;
}

bool ChainWalker::commit(Graph& graph) {
  if (layers_.empty()) return false;
  take_markers(false);
  if (next_ != graph_.nodes.size() || current_ != graph_.output) return false;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) graph.nodes[i].layers = {layer_of_[i]};
  graph.layers = std::move(layers_);
  return true;
}

}  // namespace cleave::importer
