// SPDX-License-Identifier: Apache-2.0
#include "tests/hil/network_table.h"

#include <algorithm>

#include "engine/importer/importer.h"

namespace cleave::study {
namespace {

using importer::Graph;
using importer::Node;
using importer::NodeKind;
using importer::ValueId;

std::uint64_t bytes_of(const Graph& graph, ValueId value) {
  const importer::Hwc& shape = graph.values[value].shape;
  return std::uint64_t{shape.height} * shape.width * shape.channels * sizeof(float);
}

std::uint64_t multiply_adds_of(const Graph& graph, const Node& node) {
  const bool weighted = node.kind == NodeKind::kConv2D || node.kind == NodeKind::kDepthwiseConv2D ||
                        node.kind == NodeKind::kFullyConnected;
  if (!weighted) return 0;
  const importer::Hwc& output = graph.values[node.output].shape;
  return std::uint64_t{output.height} * output.width * node.kernel.size();
}

// For each value the last node that reads it; the graph's output is read after the last node.
std::vector<std::size_t> last_readers(const Graph& graph) {
  std::vector<std::size_t> last(graph.values.size(), 0);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId value : graph.nodes[n].inputs) last[value] = n;
  }
  last[graph.output] = graph.nodes.size();
  return last;
}

// What is alive between the nodes before `next` and those from it on.
std::uint64_t boundary_bytes(const Graph& graph, const std::vector<std::size_t>& last_reader,
                             std::size_t next) {
  std::uint64_t bytes = last_reader[graph.input] >= next ? bytes_of(graph, graph.input) : 0;
  for (std::size_t n = 0; n < next; ++n) {
    const ValueId value = graph.nodes[n].output;
    if (last_reader[value] >= next) bytes += bytes_of(graph, value);
  }
  return bytes;
}

}  // namespace

std::uint64_t NetworkTable::head_memory_bytes(std::size_t k) const {
  std::uint64_t weights = 0, activations = 0;
  for (std::size_t i = 0; i < k; ++i) {
    weights += layers[i].weight_bytes;
    activations = std::max(activations, layers[i].activation_bytes);
  }
  return weights + activations;
}

std::uint64_t NetworkTable::multiply_adds() const {
  std::uint64_t sum = 0;
  for (const LayerCost& layer : layers) sum += layer.multiply_adds;
  return sum;
}

std::uint64_t NetworkTable::weight_bytes() const {
  std::uint64_t sum = 0;
  for (const LayerCost& layer : layers) sum += layer.weight_bytes;
  return sum;
}

// The source graph is taken before fusion: fused, a convolution and its activation are one op, and
// the cut between them that the literature counts is gone.
Result<NetworkTable> zoo_table(const std::string& name) {
  CLEAVE_ASSIGN_OR_RETURN(const Graph graph, importer::make_zoo_model(name, {}));
  const std::vector<std::size_t> last_reader = last_readers(graph);
  NetworkTable table{.name = name, .input_bytes = bytes_of(graph, graph.input), .layers = {}};
  table.layers.resize(graph.layers.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    LayerCost& layer = table.layers[node.layers.front()];
    layer.multiply_adds += multiply_adds_of(graph, node);
    layer.weight_bytes += (node.kernel.size() + node.bias.size()) * sizeof(float);
    // A marker only renames its input.
    const std::uint64_t written = node.kind == NodeKind::kMarker ? 0 : bytes_of(graph, node.output);
    layer.activation_bytes =
        std::max(layer.activation_bytes, boundary_bytes(graph, last_reader, n) + written);
    layer.boundary_bytes = boundary_bytes(graph, last_reader, n + 1);
  }
  return table;
}

}  // namespace cleave::study
