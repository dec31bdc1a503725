// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

bool is_channel_dim(const OnnxImport& import, const OnnxOperand& x, std::size_t dim) {
  const bool shown = import.shape(x).channels != 1;
  return x.view.dims[dim] == (shown ? ViewDim{Axis::kChannel} : ViewDim{});
}

}  // namespace

Status import_concat(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand first, import.operand(node, 0));
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 1);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(axis, first.view.dims.size()));

  Node concat;
  concat.kind = NodeKind::kConcat;
  LayoutView view = first.view;
  view.dims[dim] = {Axis::kChannel};  // what is joined has more than one channel, or is one input
  for (int i = 0; i < node.input_size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, i));
    if (x.view.dims.size() != view.dims.size()) {
      return onnx_corrupt("inputs of different numbers of dimensions");
    }
    if (!is_channel_dim(import, x, dim)) {
      return onnx_unsupported("joins along another axis than the channels");
    }
    LayoutView as_joined = x.view;
    as_joined.dims[dim] = {Axis::kChannel};
    if (as_joined != view) return onnx_unsupported("inputs of different layouts");
    concat.inputs.push_back(x.value);
  }
  if (node.input_size() == 1) return import.emit_marker(node, first, first.view);
  return import.emit(node, std::move(concat), std::move(view));
}

}  // namespace cleave::importer
