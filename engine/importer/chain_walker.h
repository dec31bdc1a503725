// SPDX-License-Identifier: Apache-2.0
//
// Walks a network that is one chain of nodes (skip connections aside) and gives its nodes to layers
// as a recogniser asks for them. Nothing is changed in the graph until commit().
//
//   ChainWalker walk(graph);
//   walk.begin_layer("features.0", "Conv2d");
//   if (walk.take(NodeKind::kConv2D) == nullptr) return false;   // another network
//   ...
//   return walk.commit(graph);
//
// Markers on the way belong to the layer before them (the first layer, when they lead), zero pads
// to the node they feed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/importer/graph.h"

namespace cleave::importer {

class ChainWalker {
 public:
  // REQUIRES: validate(graph) is ok. Keeps a reference to `graph`.
  explicit ChainWalker(const Graph& graph);

  // Nodes taken from now on belong to this layer. A layer of kind "Dropout" takes the dropout that
  // is there, if any: exports often leave it out.
  void begin_layer(std::string name, std::string kind);

  // The next node of the chain when it is of `kind`, now part of the current layer; else nullptr,
  // and nothing is taken.
  const Node* take(NodeKind kind);
  // The same for an addition of the chain's value and `skipped`, in either order.
  const Node* take_add(ValueId skipped);

  // The value that the chain has reached.
  [[nodiscard]] ValueId current() const { return current_; }
  // The next node that computes, whether or not it continues the chain; nullptr at the end.
  [[nodiscard]] const Node* peek() const;

  // Writes the layers into `graph` (the one walked) when every node was taken and the chain ended
  // in its output; false, and nothing is changed, otherwise.
  bool commit(Graph& graph);

 private:
  void take_markers(bool leave_dropout);
  [[nodiscard]] std::size_t skip_to_computing(ValueId& value) const;
  const Node* take_until(std::size_t last, ValueId output);

  const Graph& graph_;
  std::size_t next_ = 0;
  ValueId current_;
  std::vector<GraphLayer> layers_;
  std::vector<std::uint32_t> layer_of_;  // by node, for nodes before next_
};

}  // namespace cleave::importer
