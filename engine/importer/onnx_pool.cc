// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/importer/onnx_ops.h"
#include "engine/importer/onnx_window.h"

namespace cleave::importer {
namespace {

// ceil_mode is the floor rule with more trailing padding, which no pooling of ours counts.
Padding2D with_overflow(Padding2D padding, const OnnxWindow& window) {
  padding.bottom += window.overflow_bottom;
  padding.right += window.overflow_right;
  return padding;
}

// The axes, other than the batch, that the named dimensions of the view run over.
Result<ViewDim> reduced_axes(const LayoutView& view, std::vector<std::int64_t> axes,
                             std::vector<bool>& reduced) {
  ViewDim found;
  for (const std::int64_t axis : axes) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(axis, view.dims.size()));
    if (reduced[dim]) return onnx_corrupt("an axis is named twice");
    reduced[dim] = true;
    found.insert(found.end(), view.dims[dim].begin(), view.dims[dim].end());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Status import_max_pool(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.image(node, 0));
  OnnxAttributes attributes(node);
  CLEAVE_ASSIGN_OR_RETURN(const OnnxWindow window,
                          read_onnx_window(attributes, import.shape(x), {}));
  Node pool = make_node(NodeKind::kMaxPool2D, x);
  pool.window = window.window;
  pool.padding = with_overflow(window.padding, window);
  return import.emit_image(node, std::move(pool));
}

Status import_average_pool(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxOperand x, import.image(node, 0));
  OnnxAttributes attributes(node);
  const bool count_padding = attributes.integer("count_include_pad", 0) != 0;
  CLEAVE_ASSIGN_OR_RETURN(OnnxWindow window, read_onnx_window(attributes, import.shape(x), {}));
  if (window.window.dilation_height != 1 || window.window.dilation_width != 1) {
    return onnx_unsupported("dilated average pooling");
  }
  if (count_padding && window.padding.any()) {
    Node pad = make_node(NodeKind::kPad, x);
    pad.name = onnx_node_name(node) + "/pad";
    pad.source_type = node.op_type();
    pad.padding = std::exchange(window.padding, {});
    CLEAVE_ASSIGN_OR_RETURN(x.value, import.append(std::move(pad), node.output(0) + "/pad"));
  }
  Node pool = make_node(NodeKind::kAveragePool2D, x);
  pool.window = window.window;
  pool.padding = with_overflow(window.padding, window);
  return import.emit_image(node, std::move(pool));
}

Status import_global_average_pool(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.image(node, 0));
  return import.emit_image(node, make_node(NodeKind::kGlobalAveragePool, x));
}

Status import_reduce_mean(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxAttributes attributes(node);
  std::vector<std::int64_t> axes = attributes.integers("axes", {});
  const bool keep = attributes.integer("keepdims", 1) != 0;
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (axes.empty()) return onnx_unsupported("a mean over every axis");

  std::vector<bool> reduced(x.view.dims.size(), false);
  CLEAVE_ASSIGN_OR_RETURN(const ViewDim over, reduced_axes(x.view, axes, reduced));
  ViewDim image_axes;
  if (import.shape(x).height != 1) image_axes.push_back(Axis::kHeight);
  if (import.shape(x).width != 1) image_axes.push_back(Axis::kWidth);
  if (over != image_axes) return onnx_unsupported("a mean over other axes than height and width");

  LayoutView view{{}, x.view.channel_groups};
  for (std::size_t d = 0; d < reduced.size(); ++d) {
    if (!reduced[d]) view.dims.push_back(x.view.dims[d]);
    if (reduced[d] && keep) view.dims.emplace_back();
  }
  return import.emit(node, make_node(NodeKind::kGlobalAveragePool, x), std::move(view));
}

}  // namespace cleave::importer
