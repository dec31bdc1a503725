// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Status emit_elementwise(OnnxImport& import, const onnx::NodeProto& source, Node node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand x, import.operand(source, 0));
  node.inputs = {x.value};
  return import.emit(source, std::move(node), std::move(x.view));
}

Node node_of(NodeKind kind) {
  Node node;
  node.kind = kind;
  return node;
}

// A bound of Clip: since opset 11 an optional scalar input, before that an attribute.
Result<float> read_bound(OnnxImport& import, const onnx::NodeProto& node,
                         OnnxAttributes& attributes, const char* name, int input, float fallback) {
  if (import.opset < 11) return attributes.number(name, fallback);
  if (!import.has_input(node, input)) return fallback;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> bound, import.constant_floats(node, input));
  if (bound.size() != 1) return onnx_corrupt("a bound that is no scalar");
  return bound[0];
}

// The axes that Softmax runs over: from opset 13 one dimension, before that it and all after it.
Result<ViewDim> softmax_axes(const OnnxImport& import, const LayoutView& view,
                             OnnxAttributes& attributes) {
  const bool one_dim = import.opset >= 13;
  const std::int64_t axis = attributes.integer("axis", one_dim ? -1 : 1);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  const std::size_t rank = view.dims.size();
  if (!one_dim && axis == static_cast<std::int64_t>(rank)) return ViewDim{};
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t first, resolve_axis(axis, rank));
  ViewDim axes;
  for (std::size_t d = first; d < (one_dim ? first + 1 : rank); ++d) {
    axes.insert(axes.end(), view.dims[d].begin(), view.dims[d].end());
  }
  if (import.batch == 1) std::erase(axes, Axis::kBatch);
  return axes;
}

}  // namespace

Status import_relu(OnnxImport& import, const onnx::NodeProto& node) {
  Node clamp = node_of(NodeKind::kClamp);
  clamp.clamp_min = 0;
  return emit_elementwise(import, node, std::move(clamp));
}

Status import_clip(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  Node clamp = node_of(NodeKind::kClamp);
  CLEAVE_ASSIGN_OR_RETURN(clamp.clamp_min,
                          read_bound(import, node, attributes, "min", 1, -kInfinity));
  CLEAVE_ASSIGN_OR_RETURN(clamp.clamp_max,
                          read_bound(import, node, attributes, "max", 2, kInfinity));
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (!(clamp.clamp_min <= clamp.clamp_max)) return onnx_unsupported("an empty range");
  return emit_elementwise(import, node, std::move(clamp));
}

Status import_leaky_relu(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  Node leaky = node_of(NodeKind::kLeakyRelu);
  leaky.alpha = attributes.number("alpha", 0.01f);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (!std::isfinite(leaky.alpha)) return onnx_corrupt("alpha is not finite");
  return emit_elementwise(import, node, std::move(leaky));
}

Status import_hard_swish(OnnxImport& import, const onnx::NodeProto& node) {
  return emit_elementwise(import, node, node_of(NodeKind::kHardSwish));
}

Status import_sigmoid(OnnxImport& import, const onnx::NodeProto& node) {
  return emit_elementwise(import, node, node_of(NodeKind::kSigmoid));
}

Status import_softmax(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxAttributes attributes(node);
  CLEAVE_ASSIGN_OR_RETURN(const ViewDim axes, softmax_axes(import, x.view, attributes));
  // Over a dimension of extent 1 every result is 1, as it is over a single channel.
  const bool channels_only =
      axes == (import.shape(x).channels == 1 ? ViewDim{} : ViewDim{Axis::kChannel});
  if (!channels_only) return onnx_unsupported("a softmax over other axes than the channels");
  return emit_elementwise(import, node, node_of(NodeKind::kSoftmax));
}

}  // namespace cleave::importer
