// SPDX-License-Identifier: Apache-2.0
//
// Small graphs for tests: each call adds a node behind a value and returns what it writes. Weights
// are seeded by the number of nodes so far, so that no two nodes are alike.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/importer/graph.h"
#include "tests/support/graph_interpreter.h"

namespace cleave::test {

class GraphBuilder {
 public:
  explicit GraphBuilder(importer::Hwc input) {
    graph_.name = "test";
    graph_.source_format = "zoo";
    graph_.input = graph_.add_value("input", input);
  }

  // Adds any node; its output shape is inferred (1 x 1 x 1 when it cannot be, for tests of errors).
  importer::ValueId add(importer::Node node) {
    const auto shape = importer::infer_shape(graph_, node);
    if (node.name.empty()) node.name = "n" + std::to_string(graph_.nodes.size());
    node.output = graph_.add_value(node.name, shape.is_ok() ? *shape : importer::Hwc{});
    graph_.nodes.push_back(std::move(node));
    return graph_.nodes.back().output;
  }

  importer::ValueId node(importer::NodeKind kind, std::vector<importer::ValueId> inputs) {
    importer::Node n = make(kind, std::move(inputs));
    return add(std::move(n));
  }

  importer::ValueId conv2d(importer::ValueId from, std::uint32_t outputs, std::uint32_t window,
                           std::uint32_t padding = 0, std::uint32_t groups = 1,
                           bool with_bias = true) {
    importer::Node n = make(importer::NodeKind::kConv2D, {from});
    set_window(n, window, 1, padding);
    n.groups = groups;
    n.kernel = weights(std::size_t{outputs} * window * window * shape(from).channels / groups);
    if (with_bias) n.bias = weights(outputs);
    return add(std::move(n));
  }

  importer::ValueId depthwise(importer::ValueId from, std::uint32_t multiplier,
                              std::uint32_t window, std::uint32_t padding = 0) {
    importer::Node n = make(importer::NodeKind::kDepthwiseConv2D, {from});
    set_window(n, window, 1, padding);
    n.multiplier = multiplier;
    n.kernel = weights(std::size_t{window} * window * shape(from).channels * multiplier);
    return add(std::move(n));
  }

  importer::ValueId fully_connected(importer::ValueId from, std::uint32_t outputs) {
    importer::Node n = make(importer::NodeKind::kFullyConnected, {from});
    const importer::Hwc& s = shape(from);
    n.kernel = weights(std::size_t{outputs} * s.height * s.width * s.channels);
    return add(std::move(n));
  }

  // Factors around 1 unless `factor_one`, any shift.
  importer::ValueId affine(importer::ValueId from, bool factor_one = false) {
    importer::Node n = make(importer::NodeKind::kAffine, {from});
    n.kernel = weights(shape(from).channels);
    for (float& k : n.kernel) k = factor_one ? 1.0f : 1.0f + k / 2;
    n.bias = weights(shape(from).channels);
    return add(std::move(n));
  }

  importer::ValueId clamp(importer::ValueId from, float minimum, float maximum) {
    importer::Node n = make(importer::NodeKind::kClamp, {from});
    n.clamp_min = minimum;
    n.clamp_max = maximum;
    return add(std::move(n));
  }

  importer::ValueId relu(importer::ValueId from) {
    return clamp(from, 0, std::numeric_limits<float>::infinity());
  }

  importer::ValueId pad(importer::ValueId from, importer::Padding2D padding, float value = 0) {
    importer::Node n = make(importer::NodeKind::kPad, {from});
    n.padding = padding;
    n.pad_value = value;
    return add(std::move(n));
  }

  importer::ValueId pool(importer::NodeKind kind, importer::ValueId from, std::uint32_t window,
                         std::uint32_t stride, std::uint32_t padding = 0) {
    importer::Node n = make(kind, {from});
    set_window(n, window, stride, padding);
    return add(std::move(n));
  }

  importer::ValueId marker(importer::ValueId from, std::string source_type) {
    importer::Node n = make(importer::NodeKind::kMarker, {from});
    n.source_type = std::move(source_type);
    return add(std::move(n));
  }

  [[nodiscard]] importer::ValueId input() const { return graph_.input; }
  [[nodiscard]] const importer::Hwc& shape(importer::ValueId v) const {
    return graph_.values[v].shape;
  }
  [[nodiscard]] std::vector<float> weights(std::size_t count) {
    return seeded_values(count, ++seed_);
  }

  [[nodiscard]] importer::Graph finish(importer::ValueId output) {
    graph_.output = output;
    return std::move(graph_);
  }

 private:
  static importer::Node make(importer::NodeKind kind, std::vector<importer::ValueId> inputs) {
    importer::Node n;
    n.kind = kind;
    n.inputs = std::move(inputs);
    return n;
  }
  static void set_window(importer::Node& n, std::uint32_t window, std::uint32_t stride,
                         std::uint32_t padding) {
    n.window.height = n.window.width = window;
    n.window.stride_height = n.window.stride_width = stride;
    n.padding = {padding, padding, padding, padding};
  }

  importer::Graph graph_;
  std::uint64_t seed_ = 0;
};

}  // namespace cleave::test
