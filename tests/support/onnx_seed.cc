// SPDX-License-Identifier: Apache-2.0
#include "tests/support/onnx_seed.h"

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_writer.h"

namespace cleave::test {
namespace {

std::vector<std::int64_t> read_shape(const onnx::TensorProto& tensor) {
  std::vector<std::int64_t> shape(tensor.int64_data().begin(), tensor.int64_data().end());
  if (!tensor.has_raw_data()) return shape;
  shape.resize(tensor.raw_data().size() / sizeof(std::int64_t));
  std::memcpy(shape.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return shape;
}

std::vector<float> seeded_weights(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  std::size_t count = 1, fan_in = 1;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    count *= static_cast<std::size_t>(shape[d]);
    if (d > 0) fan_in *= static_cast<std::size_t>(shape[d]);
  }
  // A uniform variable in [-1, 1) has variance 1/3.
  const double scale = shape.size() == 1 ? 0.1 : std::sqrt(6.0 / static_cast<double>(fan_in));
  std::vector<float> weights = seeded_values(count, seed);
  for (float& w : weights) w = static_cast<float>(w * scale);
  return weights;
}

}  // namespace

int seed_constant_weights(onnx::ModelProto& model, std::uint64_t seed) {
  onnx::GraphProto& graph = *model.mutable_graph();
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    if (tensor.data_type() == onnx::TensorProto::INT64) shapes[tensor.name()] = read_shape(tensor);
  }
  int replaced = 0;
  onnx::GraphProto kept;
  for (const onnx::NodeProto& node : graph.node()) {
    if (node.op_type() != "ConstantOfShape" || !shapes.contains(node.input(0))) {
      *kept.add_node() = node;
      continue;
    }
    const std::vector<std::int64_t>& shape = shapes[node.input(0)];
    ++replaced;
    add_initializer(graph, node.output(0), shape,
                    seeded_weights(shape, seed + static_cast<std::uint64_t>(replaced)));
  }
  graph.mutable_node()->Swap(kept.mutable_node());
  // Until IR version 4 every initializer had to be listed as an input as well.
  model.set_ir_version(7);
  return replaced;
}

}  // namespace cleave::test
