// SPDX-License-Identifier: Apache-2.0
//
// Operators that pick some of a computed tensor's channels: Split and Gather.
#include <numeric>
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

constexpr std::size_t kMaxSplitOutputs = 256;

// The operand, if `axis` of its view is its channels.
Result<OnnxOperand> operand_along_channels(const OnnxImport& import, const onnx::NodeProto& node,
                                           std::int64_t axis) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand x, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(axis, x.view.dims.size()));
  if (x.view.dims[dim] != ViewDim{Axis::kChannel}) {
    return onnx_unsupported("along another axis than the channels");
  }
  return x;
}

// One channel less of a dimension is still that dimension, but one channel alone has no axis.
LayoutView view_of_channels(LayoutView view, std::size_t channels) {
  for (ViewDim& dim : view.dims) {
    if (channels == 1 && dim == ViewDim{Axis::kChannel}) dim.clear();
  }
  return view;
}

Status emit_selection(OnnxImport& import, const onnx::NodeProto& node, int output,
                      const OnnxOperand& x, std::vector<std::uint32_t> channels) {
  LayoutView view = view_of_channels(x.view, channels.size());
  Node select = make_node(NodeKind::kSelectChannels, x);
  select.channels = std::move(channels);
  return import.emit(node, std::move(select), std::move(view), output);
}

// Attribute until opset 12, input 1 from opset 13; equal parts when neither is given.
Result<std::vector<std::int64_t>> read_split(const OnnxImport& import, const onnx::NodeProto& node,
                                             std::int64_t channels) {
  OnnxAttributes attributes(node);
  std::vector<std::int64_t> parts = attributes.integers("split", {});
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (import.has_input(node, 1)) {
    CLEAVE_ASSIGN_OR_RETURN(parts, import.constant_ints(node, 1));
  }
  const auto outputs = static_cast<std::size_t>(node.output_size());
  if (parts.empty()) parts.assign(outputs, channels / static_cast<std::int64_t>(outputs));
  std::int64_t total = 0;
  for (const std::int64_t part : parts) {
    if (part < 1 || part > channels) return onnx_corrupt("a part of no channels or too many");
    total += part;
  }
  if (parts.size() != outputs || total != channels) {
    return onnx_corrupt("parts that do not make up the channels");
  }
  return parts;
}

}  // namespace

Status import_split(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, operand_along_channels(import, node, axis));
  if (static_cast<std::size_t>(node.output_size()) > kMaxSplitOutputs) {
    return onnx_unsupported("more than 256 outputs");
  }
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> parts,
                          read_split(import, node, import.shape(x).channels));
  std::uint32_t first = 0;
  for (int i = 0; i < node.output_size(); ++i) {
    std::vector<std::uint32_t> channels(
        static_cast<std::size_t>(parts[static_cast<std::size_t>(i)]));
    std::iota(channels.begin(), channels.end(), first);
    first += static_cast<std::uint32_t>(channels.size());
    if (node.output(i).empty()) continue;
    CLEAVE_RETURN_IF_ERROR(emit_selection(import, node, i, x, std::move(channels)));
  }
  return Status::ok();
}

Status import_gather(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, operand_along_channels(import, node, axis));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor indices, import.constant(node, 1));
  if (indices.is_float) return onnx_corrupt("indices that are not integers");
  if (indices.dims.size() != 1) return onnx_unsupported("indices that are not a list");
  std::vector<std::uint32_t> channels;
  for (const std::int64_t index : indices.ints) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t channel,
                            resolve_axis(index, import.shape(x).channels));
    channels.push_back(static_cast<std::uint32_t>(channel));
  }
  return emit_selection(import, node, 0, x, std::move(channels));
}

}  // namespace cleave::importer
