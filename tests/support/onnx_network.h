// SPDX-License-Identifier: Apache-2.0
//
// An ONNX model of one input "x", written node by node as exporters write it. Weights are seeded by
// the number of weights so far, so that no two are alike.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_writer.h"

namespace cleave::test {

class OnnxNetwork {
 public:
  using Dims = std::vector<std::int64_t>;
  using Attributes = std::function<void(onnx::NodeProto&)>;

  OnnxNetwork(int opset, const Dims& input) : model_(empty_model(opset)) {
    add_input(graph(), "x", input);
  }

  // Adds a node of one output, and returns the output's name.
  std::string node(const std::string& type, const std::vector<std::string>& inputs,
                   const Attributes& attributes = {}) {
    return nodes(type, inputs, 1, attributes).front();
  }

  // Adds a node of several outputs.
  std::vector<std::string> nodes(const std::string& type, const std::vector<std::string>& inputs,
                                 int output_count, const Attributes& attributes = {}) {
    onnx::NodeProto& added = *graph().add_node();
    added.set_op_type(type);
    for (const std::string& input : inputs) added.add_input(input);
    const std::string name = "t" + std::to_string(graph().node_size()) + type;
    for (int i = 0; i < output_count; ++i) {
      added.add_output(i == 0 ? name : name + "." + std::to_string(i));
    }
    if (attributes) attributes(added);
    return {added.output().begin(), added.output().end()};
  }

  // Uniform in [-1, 1).
  std::string weights(const Dims& dims) { return floats(dims, values(dims)); }

  // Uniform with He's deviation for the inputs of one output, so that signals keep their size.
  std::string he_weights(const Dims& dims) {
    const double fan_in = static_cast<double>(count(dims)) / static_cast<double>(dims.at(0));
    return scaled_weights(dims, std::sqrt(6.0 / fan_in), 0);
  }

  // Uniform in [offset - scale, offset + scale).
  std::string scaled_weights(const Dims& dims, double scale, double offset) {
    std::vector<float> scaled = values(dims);
    for (float& w : scaled) w = static_cast<float>(w * scale + offset);
    return floats(dims, scaled);
  }

  std::string floats(const Dims& dims, const std::vector<float>& values) {
    const std::string name = "w" + std::to_string(graph().initializer_size());
    add_initializer(graph(), name, dims, values);
    return name;
  }

  std::string ints(const Dims& values) {
    const std::string name = "i" + std::to_string(graph().initializer_size());
    add_int_initializer(graph(), name, values);
    return name;
  }

  std::string scalar_int(std::int64_t value) {
    const std::string name = ints({value});
    graph().mutable_initializer(graph().initializer_size() - 1)->clear_dims();
    return name;
  }

  onnx::ModelProto finish(const std::string& output) {
    add_output(graph(), output);
    return model_;
  }

 private:
  static std::size_t count(const Dims& dims) {
    std::size_t product = 1;
    for (const std::int64_t dim : dims) product *= static_cast<std::size_t>(dim);
    return product;
  }

  std::vector<float> values(const Dims& dims) { return seeded_values(count(dims), ++seed_); }

  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto model_;
  std::uint64_t seed_ = 0;
};

}  // namespace cleave::test
