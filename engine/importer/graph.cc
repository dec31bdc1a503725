// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/graph.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "schemas/op_shape.h"

namespace cleave::importer {
namespace {

std::string describe(const Node& node) {
  return std::string(node_kind_name(node.kind)) + " \"" + node.name + "\"";
}

std::string to_text(const Hwc& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" +
         std::to_string(shape.channels);
}

Status bad(const Node& node, const std::string& why) {
  return {StatusCode::kCorrupt, describe(node) + ": " + why};
}

std::uint64_t elements(const Hwc& shape) {
  return std::uint64_t{shape.height} * shape.width * shape.channels;
}

// 64-bit extents, so that sums of paddings and channels cannot wrap before they are checked.
Result<Hwc> make_shape(const Node& node, std::uint64_t height, std::uint64_t width,
                       std::uint64_t channels) {
  const bool in_range = height >= 1 && height <= kMaxDimension && width >= 1 &&
                        width <= kMaxDimension && channels >= 1 && channels <= kMaxDimension;
  if (!in_range || height * width > kMaxTensorElements ||
      height * width * channels > kMaxTensorElements) {
    return bad(node, "output shape " + std::to_string(height) + "x" + std::to_string(width) + "x" +
                         std::to_string(channels) + " is out of range");
  }
  return Hwc{static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width),
             static_cast<std::uint32_t>(channels)};
}

// One direction of a sliding window.
struct Span1D {
  std::uint64_t input, window, stride, dilation, before, after;

  [[nodiscard]] std::uint64_t taps_extent() const { return (window - 1) * dilation + 1; }
  // 0 when the window does not fit once.
  [[nodiscard]] std::uint64_t positions() const {
    const std::uint64_t padded = input + before + after;
    return padded < taps_extent() ? 0 : (padded - taps_extent()) / stride + 1;
  }
  // Whether some position of the window sees nothing but padding.
  [[nodiscard]] bool has_blind_position() const {
    for (std::uint64_t p = 0; p < positions(); ++p) {
      const std::uint64_t start = p * stride;
      const std::uint64_t skipped =
          start >= before ? 0 : (before - start + dilation - 1) / dilation;
      if (skipped >= window || start + skipped * dilation >= before + input) return true;
    }
    return false;
  }
};

struct Spans {
  Span1D vertical, horizontal;
};

Result<Spans> window_spans(const Node& node, const Hwc& in) {
  const Window2D& w = node.window;
  const Padding2D& p = node.padding;
  for (const std::uint32_t extent :
       {w.height, w.width, w.stride_height, w.stride_width, w.dilation_height, w.dilation_width}) {
    if (extent == 0 || extent > kMaxWindowExtent)
      return bad(node, "window, stride or dilation out of range");
  }
  for (const std::uint32_t extent : {p.top, p.right, p.bottom, p.left}) {
    if (extent > kMaxWindowExtent) return bad(node, "padding out of range");
  }
  const Spans spans{{in.height, w.height, w.stride_height, w.dilation_height, p.top, p.bottom},
                    {in.width, w.width, w.stride_width, w.dilation_width, p.left, p.right}};
  if (spans.vertical.positions() == 0 || spans.horizontal.positions() == 0) {
    return bad(node, "window does not fit into the input " + to_text(in));
  }
  return spans;
}

Result<Hwc> infer_conv2d(const Node& node, const Hwc& in) {
  CLEAVE_ASSIGN_OR_RETURN(const Spans spans, window_spans(node, in));
  if (node.groups == 0 || in.channels % node.groups != 0) {
    return bad(node, std::to_string(node.groups) + " groups do not divide the input channels");
  }
  const std::uint64_t taps = std::uint64_t{node.window.height} * node.window.width;
  const std::uint64_t per_output = taps * (in.channels / node.groups);
  if (node.kernel.empty() || node.kernel.size() % per_output != 0 ||
      node.kernel.size() / per_output % node.groups != 0) {
    return bad(node, "kernel size does not agree with window, groups and input channels");
  }
  return make_shape(node, spans.vertical.positions(), spans.horizontal.positions(),
                    node.kernel.size() / per_output);
}

Result<Hwc> infer_depthwise(const Node& node, const Hwc& in) {
  CLEAVE_ASSIGN_OR_RETURN(const Spans spans, window_spans(node, in));
  return make_shape(node, spans.vertical.positions(), spans.horizontal.positions(),
                    std::uint64_t{in.channels} * node.multiplier);
}

Result<Hwc> infer_fully_connected(const Node& node, const Hwc& in) {
  if (node.kernel.empty() || node.kernel.size() % elements(in) != 0) {
    return bad(node, "kernel size is no multiple of the input's " + std::to_string(elements(in)) +
                         " elements");
  }
  return make_shape(node, 1, 1, node.kernel.size() / elements(in));
}

Result<Hwc> infer_pool(const Node& node, const Hwc& in) {
  CLEAVE_ASSIGN_OR_RETURN(const Spans spans, window_spans(node, in));
  const bool dilated = node.window.dilation_height != 1 || node.window.dilation_width != 1;
  if (node.kind == NodeKind::kAveragePool2D && dilated) {
    return Status{StatusCode::kUnsupported, describe(node) + ": average pools have no dilation"};
  }
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, make_shape(node, spans.vertical.positions(),
                                                    spans.horizontal.positions(), in.channels));
  if (spans.vertical.has_blind_position() || spans.horizontal.has_blind_position()) {
    return bad(node, "a pooling window lies wholly in the padding");
  }
  return out;
}

Result<Hwc> infer_binary(const Graph& graph, const Node& node) {
  const Hwc& a = graph.values[node.inputs[0]].shape;
  const Hwc& b = graph.values[node.inputs[1]].shape;
  if (a == b || b == Hwc{1, 1, a.channels}) return a;
  return bad(node, "inputs " + to_text(a) + " and " + to_text(b) + " do not broadcast");
}

Result<Hwc> infer_concat(const Graph& graph, const Node& node) {
  const Hwc& first = graph.values[node.inputs[0]].shape;
  std::uint64_t channels = 0;
  for (const ValueId input : node.inputs) {
    const Hwc& shape = graph.values[input].shape;
    if (shape.height != first.height || shape.width != first.width) {
      return bad(node, "inputs " + to_text(first) + " and " + to_text(shape) +
                           " differ in height or width");
    }
    channels += shape.channels;
  }
  return make_shape(node, first.height, first.width, channels);
}

Result<Hwc> infer_pad(const Node& node, const Hwc& in) {
  const Padding2D& p = node.padding;
  if (std::max({p.top, p.right, p.bottom, p.left}) > kMaxWindowExtent) {
    return bad(node, "padding out of range");
  }
  return make_shape(node, std::uint64_t{in.height} + p.top + p.bottom,
                    std::uint64_t{in.width} + p.left + p.right, in.channels);
}

Result<Hwc> infer_affine(const Node& node, const Hwc& in) {
  if (node.kernel.size() != in.channels) {
    return bad(node, "has " + std::to_string(node.kernel.size()) + " factors for " +
                         std::to_string(in.channels) + " channels");
  }
  return in;
}

Result<Hwc> infer_select(const Node& node, const Hwc& in) {
  for (const std::uint32_t channel : node.channels) {
    if (channel >= in.channels) {
      return bad(node, "selects channel " + std::to_string(channel) + " of " +
                           std::to_string(in.channels));
    }
  }
  // It may have to become a convolution of ones and zeros.
  constexpr std::uint64_t kMostPairs = std::uint64_t{1} << 26;
  if (std::uint64_t{node.channels.size()} * in.channels > kMostPairs) {
    return bad(node, "selects " + std::to_string(node.channels.size()) + " of " +
                         std::to_string(in.channels) + " channels: too many to copy one by one");
  }
  return make_shape(node, in.height, in.width, node.channels.size());
}

Result<Hwc> infer_lrn(const Node& node, const Hwc& in) {
  if (node.size == 0 || node.size > kMaxWindowExtent) return bad(node, "window size out of range");
  return in;
}

Status check_input_count(const Node& node) {
  const std::size_t count = node.inputs.size();
  const bool binary = node.kind == NodeKind::kAdd || node.kind == NodeKind::kMultiply;
  const bool right = node.kind == NodeKind::kConcat ? count >= 1 : count == (binary ? 2u : 1u);
  return right ? Status::ok() : bad(node, "has " + std::to_string(count) + " inputs");
}

bool has_kernel(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D ||
         kind == NodeKind::kFullyConnected || kind == NodeKind::kAffine;
}

Status check_weights(const Node& node, const Hwc& out) {
  if (!has_kernel(node.kind)) {
    return node.kernel.empty() && node.bias.empty() ? Status::ok()
                                                    : bad(node, "has weights but cannot use them");
  }
  if (node.kind == NodeKind::kDepthwiseConv2D) {
    const std::uint64_t taps = std::uint64_t{node.window.height} * node.window.width;
    if (node.kernel.size() != taps * out.channels) {
      return bad(node, "kernel size does not agree with window and channels");
    }
  }
  if (!node.bias.empty() && node.bias.size() != out.channels) {
    return bad(node, "bias size does not agree with the output channels");
  }
  return Status::ok();
}

Status check_quantization(const Node& node, const QuantizationParameters& q) {
  if (q.empty()) return Status::ok();
  if (q.zero_point.size() != q.scale.size() || (q.axis < 0 && q.scale.size() != 1)) {
    return bad(node, "quantization parameters do not agree with each other");
  }
  return Status::ok();
}

Status check_numbers(const Node& node) {
  if (std::isnan(node.clamp_min) || std::isnan(node.clamp_max) || node.clamp_min > node.clamp_max) {
    return bad(node, "clamp is empty or not a number");
  }
  if (node.kind == NodeKind::kMarker && node.has_clamp()) return bad(node, "a marker cannot clamp");
  for (const float x : {node.alpha, node.beta, node.bias_k, node.pad_value}) {
    if (!std::isfinite(x)) return bad(node, "a parameter is not finite");
  }
  CLEAVE_RETURN_IF_ERROR(check_quantization(node, node.kernel_quantization));
  return check_quantization(node, node.bias_quantization);
}

Status check_layers(const Graph& graph, const Node& node) {
  for (std::size_t i = 0; i < node.layers.size(); ++i) {
    if (node.layers[i] >= graph.layers.size() || (i > 0 && node.layers[i] <= node.layers[i - 1])) {
      return bad(node, "its layers are not in order or do not exist");
    }
  }
  return Status::ok();
}

Status check_node(const Graph& graph, const Node& node, std::vector<bool>& written) {
  for (const ValueId input : node.inputs) {
    if (input >= graph.values.size() || !written[input]) {
      return bad(node, "reads a value that nothing before it writes");
    }
  }
  if (node.output >= graph.values.size()) return bad(node, "has no output value");
  if (written[node.output]) {
    return bad(node, "writes \"" + graph.values[node.output].name + "\" a second time");
  }
  CLEAVE_RETURN_IF_ERROR(check_numbers(node));
  CLEAVE_ASSIGN_OR_RETURN(const Hwc inferred, infer_shape(graph, node));
  if (inferred != graph.values[node.output].shape) {
    return bad(node, "output is said to be " + to_text(graph.values[node.output].shape) +
                         " but computes " + to_text(inferred));
  }
  CLEAVE_RETURN_IF_ERROR(check_weights(node, inferred));
  CLEAVE_RETURN_IF_ERROR(check_layers(graph, node));
  written[node.output] = true;
  return Status::ok();
}

}  // namespace

const char* node_kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kConv2D:
      return "Conv2D";
    case NodeKind::kDepthwiseConv2D:
      return "DepthwiseConv2D";
    case NodeKind::kFullyConnected:
      return "FullyConnected";
    case NodeKind::kMaxPool2D:
      return "MaxPool2D";
    case NodeKind::kAveragePool2D:
      return "AveragePool2D";
    case NodeKind::kGlobalAveragePool:
      return "GlobalAveragePool";
    case NodeKind::kClamp:
      return "Clamp";
    case NodeKind::kLeakyRelu:
      return "LeakyRelu";
    case NodeKind::kHardSwish:
      return "HardSwish";
    case NodeKind::kSigmoid:
      return "Sigmoid";
    case NodeKind::kAdd:
      return "Add";
    case NodeKind::kMultiply:
      return "Multiply";
    case NodeKind::kConcat:
      return "Concat";
    case NodeKind::kSelectChannels:
      return "SelectChannels";
    case NodeKind::kPad:
      return "Pad";
    case NodeKind::kLrn:
      return "Lrn";
    case NodeKind::kSoftmax:
      return "Softmax";
    case NodeKind::kAffine:
      return "Affine";
    case NodeKind::kMarker:
      return "Marker";
    case NodeKind::kConvert:
      return "Convert";
  }
  return "?";
}

ValueId Graph::add_value(std::string value_name, Hwc shape) {
  values.push_back({std::move(value_name), shape, {}, false});
  return static_cast<ValueId>(values.size() - 1);
}

Result<Hwc> infer_shape(const Graph& graph, const Node& node) {
  CLEAVE_RETURN_IF_ERROR(check_input_count(node));
  const Hwc& in = graph.values[node.inputs[0]].shape;
  switch (node.kind) {
    case NodeKind::kConv2D:
      return infer_conv2d(node, in);
    case NodeKind::kDepthwiseConv2D:
      return infer_depthwise(node, in);
    case NodeKind::kFullyConnected:
      return infer_fully_connected(node, in);
    case NodeKind::kMaxPool2D:
    case NodeKind::kAveragePool2D:
      return infer_pool(node, in);
    case NodeKind::kGlobalAveragePool:
      return Hwc{1, 1, in.channels};
    case NodeKind::kAdd:
    case NodeKind::kMultiply:
      return infer_binary(graph, node);
    case NodeKind::kConcat:
      return infer_concat(graph, node);
    case NodeKind::kSelectChannels:
      return infer_select(node, in);
    case NodeKind::kPad:
      return infer_pad(node, in);
    case NodeKind::kAffine:
      return infer_affine(node, in);
    case NodeKind::kLrn:
      return infer_lrn(node, in);
    case NodeKind::kClamp:
    case NodeKind::kLeakyRelu:
    case NodeKind::kHardSwish:
    case NodeKind::kSigmoid:
    case NodeKind::kSoftmax:
    case NodeKind::kMarker:
    case NodeKind::kConvert:
      return in;
  }
  return bad(node, "is of no known kind");
}

Status validate(const Graph& graph) {
  if (graph.input >= graph.values.size()) return {StatusCode::kCorrupt, "the network has no input"};
  const Hwc& in = graph.values[graph.input].shape;
  if (in.height == 0 || in.width == 0 || in.channels == 0 || in.height > kMaxDimension ||
      in.width > kMaxDimension || in.channels > kMaxDimension ||
      elements(in) > kMaxTensorElements) {
    return {StatusCode::kCorrupt, "the network's input shape " + to_text(in) + " is out of range"};
  }
  std::vector<bool> written(graph.values.size(), false);
  written[graph.input] = true;
  for (const Node& node : graph.nodes) CLEAVE_RETURN_IF_ERROR(check_node(graph, node, written));
  if (graph.output >= graph.values.size() || !written[graph.output]) {
    return {StatusCode::kCorrupt, "nothing writes the network's output"};
  }
  return Status::ok();
}

}  // namespace cleave::importer
