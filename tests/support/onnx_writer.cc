// SPDX-License-Identifier: Apache-2.0
#include "tests/support/onnx_writer.h"

#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Hwc;
using importer::Node;
using importer::NodeKind;
using importer::ValueId;

constexpr int kOpset = 14;  // the first with HardSwish

class Writer {
 public:
  explicit Writer(const Graph& graph)
      : graph_(graph), model_(empty_model(kOpset)), is_vector_(graph.values.size(), false) {}

  onnx::ModelProto write() {
    const Hwc& in = graph_.values[graph_.input].shape;
    add_input(out(), name(graph_.input), {1, in.channels, in.height, in.width});
    for (const Node& node : graph_.nodes) write_node(node);
    add_output(out(), name(graph_.output));
    return std::move(model_);
  }

 private:
  onnx::GraphProto& out() { return *model_.mutable_graph(); }
  [[nodiscard]] std::string name(ValueId id) const { return graph_.values[id].name; }
  [[nodiscard]] const Hwc& input_shape(const Node& node) const {
    return graph_.values[node.inputs[0]].shape;
  }

  onnx::NodeProto& add_node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::string& output) {
    onnx::NodeProto& node = *out().add_node();
    node.set_op_type(type);
    node.set_name(output + "/" + type);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  std::string weights(const Node& node, const char* suffix, const std::vector<std::int64_t>& dims,
                      const std::vector<float>& values) {
    const std::string tensor = name(node.output) + suffix;
    add_initializer(out(), tensor, dims, values);
    return tensor;
  }

  void set_window(onnx::NodeProto& out_node, const Node& node) {
    const importer::Window2D& w = node.window;
    set_ints(out_node, "kernel_shape", {w.height, w.width});
    set_ints(out_node, "strides", {w.stride_height, w.stride_width});
    if (node.kind != NodeKind::kAveragePool2D) {  // has no dilation before opset 19
      set_ints(out_node, "dilations", {w.dilation_height, w.dilation_width});
    }
    const importer::Padding2D& p = node.padding;
    set_ints(out_node, "pads", {p.top, p.left, p.bottom, p.right});
  }

  void write_convolution(const Node& node, const std::string& output);
  void write_fully_connected(const Node& node, const std::string& output);
  void write_affine(const Node& node, const std::string& output);
  void write_clamp(const Node& node, const std::string& input, const std::string& output);
  void write_pad(const Node& node, const std::string& output);
  void write_select(const Node& node, const std::string& output);
  void write_lrn(const Node& node, const std::string& output);
  void write_kind(const Node& node, const std::string& output);
  void write_node(const Node& node);

  const Graph& graph_;
  onnx::ModelProto model_;
  std::vector<bool> is_vector_;  // by value: N,C instead of N,C,H,W
};

// Element (o, t, i) of both of our kernel layouts, t counting the window's taps.
float kernel_at(const Node& node, std::size_t outputs, std::size_t o, std::size_t t,
                std::size_t i) {
  const std::size_t taps = std::size_t{node.window.height} * node.window.width;
  if (node.kind == NodeKind::kDepthwiseConv2D) return node.kernel[t * outputs + o];
  const std::size_t inputs = node.kernel.size() / outputs / taps;
  return node.kernel[(o * taps + t) * inputs + i];
}

void Writer::write_convolution(const Node& node, const std::string& output) {
  const bool depthwise = node.kind == NodeKind::kDepthwiseConv2D;
  const std::size_t outputs = graph_.values[node.output].shape.channels;
  const std::size_t taps = std::size_t{node.window.height} * node.window.width;
  const std::size_t inputs = node.kernel.size() / outputs / taps;
  std::vector<float> oihw;
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t t = 0; t < taps; ++t) oihw.push_back(kernel_at(node, outputs, o, t, i));
    }
  }
  const std::vector<std::int64_t> dims{static_cast<std::int64_t>(outputs),
                                       static_cast<std::int64_t>(inputs), node.window.height,
                                       node.window.width};
  std::vector<std::string> names{name(node.inputs[0]), weights(node, "/kernel", dims, oihw)};
  if (!node.bias.empty()) names.push_back(weights(node, "/bias", {dims[0]}, node.bias));
  onnx::NodeProto& conv = add_node("Conv", names, output);
  set_window(conv, node);
  set_int(conv, "group", depthwise ? input_shape(node).channels : node.groups);
}

// Flatten gives channel, height, width; our kernel counts height, width, channel.
void Writer::write_fully_connected(const Node& node, const std::string& output) {
  const Hwc& in = input_shape(node);
  const std::size_t pixels = std::size_t{in.height} * in.width;
  const std::size_t inputs = pixels * in.channels;
  const std::size_t outputs = node.kernel.size() / inputs;
  std::vector<float> kernel(node.kernel.size());
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < in.channels; ++c) {
        kernel[o * inputs + c * pixels + p] = node.kernel[o * inputs + p * in.channels + c];
      }
    }
  }
  const std::string flat = output + "/flat";
  add_node("Flatten", {name(node.inputs[0])}, flat);
  const auto rows = static_cast<std::int64_t>(outputs);
  std::vector<std::string> names{
      flat, weights(node, "/kernel", {rows, static_cast<std::int64_t>(inputs)}, kernel)};
  if (!node.bias.empty()) names.push_back(weights(node, "/bias", {rows}, node.bias));
  set_int(add_node("Gemm", names, output), "transB", 1);
}

// A batch norm with mean 0 and variance 1 is the affine function itself.
void Writer::write_affine(const Node& node, const std::string& output) {
  const std::size_t channels = node.kernel.size();
  const auto with = [&](const char* suffix, const std::vector<float>& values) {
    return weights(node, suffix, {static_cast<std::int64_t>(channels)}, values);
  };
  const std::vector<float> zeros(channels, 0.0f), ones(channels, 1.0f);
  onnx::NodeProto& norm = add_node("BatchNormalization",
                                   {name(node.inputs[0]), with("/scale", node.kernel),
                                    with("/bias", node.bias.empty() ? zeros : node.bias),
                                    with("/mean", zeros), with("/variance", ones)},
                                   output);
  set_float(norm, "epsilon", 0.0f);
}

void Writer::write_clamp(const Node& node, const std::string& input, const std::string& output) {
  const bool relu = node.clamp_min == 0 && std::isinf(node.clamp_max);
  if (relu) {
    add_node("Relu", {input}, output);
    return;
  }
  const auto bound = [&](const char* suffix, float value) {
    return std::isinf(value) ? std::string() : weights(node, suffix, {}, {value});
  };
  add_node("Clip", {input, bound("/min", node.clamp_min), bound("/max", node.clamp_max)}, output);
}

void Writer::write_pad(const Node& node, const std::string& output) {
  const importer::Padding2D& p = node.padding;
  const std::string pads = name(node.output) + "/pads";
  add_int_initializer(out(), pads, {0, 0, p.top, p.left, 0, 0, p.bottom, p.right});
  add_node("Pad", {name(node.inputs[0]), pads, weights(node, "/value", {}, {node.pad_value})},
           output);
}

void Writer::write_select(const Node& node, const std::string& output) {
  const std::string indices = name(node.output) + "/indices";
  add_int_initializer(out(), indices, {node.channels.begin(), node.channels.end()});
  set_int(add_node("Gather", {name(node.inputs[0]), indices}, output), "axis", 1);
}

void Writer::write_lrn(const Node& node, const std::string& output) {
  onnx::NodeProto& lrn = add_node("LRN", {name(node.inputs[0])}, output);
  set_int(lrn, "size", node.size);
  set_float(lrn, "alpha", node.alpha);
  set_float(lrn, "beta", node.beta);
  set_float(lrn, "bias", node.bias_k);
}

void Writer::write_kind(const Node& node, const std::string& output) {
  const std::string input = name(node.inputs[0]);
  switch (node.kind) {
    case NodeKind::kConv2D:
    case NodeKind::kDepthwiseConv2D:
      return write_convolution(node, output);
    case NodeKind::kFullyConnected:
      return write_fully_connected(node, output);
    case NodeKind::kMaxPool2D:
      return set_window(add_node("MaxPool", {input}, output), node);
    case NodeKind::kAveragePool2D:
      return set_window(add_node("AveragePool", {input}, output), node);
    case NodeKind::kGlobalAveragePool:
      return void(add_node("GlobalAveragePool", {input}, output));
    case NodeKind::kLeakyRelu:
      return set_float(add_node("LeakyRelu", {input}, output), "alpha", node.alpha);
    case NodeKind::kHardSwish:
      return void(add_node("HardSwish", {input}, output));
    case NodeKind::kSigmoid:
      return void(add_node("Sigmoid", {input}, output));
    case NodeKind::kAdd:
      return void(add_node("Add", {input, name(node.inputs[1])}, output));
    case NodeKind::kMultiply:
      return void(add_node("Mul", {input, name(node.inputs[1])}, output));
    case NodeKind::kConcat: {
      std::vector<std::string> inputs;
      for (const ValueId id : node.inputs) inputs.push_back(name(id));
      return set_int(add_node("Concat", inputs, output), "axis", 1);
    }
    case NodeKind::kSelectChannels:
      return write_select(node, output);
    case NodeKind::kPad:
      return write_pad(node, output);
    case NodeKind::kLrn:
      return write_lrn(node, output);
    case NodeKind::kSoftmax:
      return set_int(add_node("Softmax", {input}, output), "axis", 1);
    case NodeKind::kAffine:
      return write_affine(node, output);
    case NodeKind::kClamp:
      return write_clamp(node, input, output);
    case NodeKind::kMarker:
      return void(add_node("Identity", {input}, output));
    case NodeKind::kConvert:
      throw std::logic_error("onnx_writer: only f32 graphs are written");
  }
}

void Writer::write_node(const Node& node) {
  const std::string output = name(node.output);
  const bool vector = node.kind == NodeKind::kFullyConnected || is_vector_[node.inputs[0]];
  is_vector_[node.output] = vector;
  const bool fused_clamp = node.kind != NodeKind::kClamp && node.has_clamp();
  write_kind(node, fused_clamp ? output + "/unclamped" : output);
  if (fused_clamp) write_clamp(node, output + "/unclamped", output);
}

}  // namespace

void name_apart(importer::Graph& graph) {
  std::set<std::string> taken{""};
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    std::string& name = graph.values[id].name;
    if (!taken.insert(name).second) name += "#" + std::to_string(id);
    taken.insert(name);
  }
}

onnx::ModelProto to_onnx(const importer::Graph& graph) { return Writer(graph).write(); }

}  // namespace cleave::test
