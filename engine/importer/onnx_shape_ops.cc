// SPDX-License-Identifier: Apache-2.0
//
// Operators that only rename the layout of a computed tensor: they become markers, and the view of
// the tensor changes.
#include <algorithm>
#include <optional>
#include <utility>

#include "engine/importer/onnx_axes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

// Extents as the source sees them; our batch is 1 whatever the source's was fixed to.
std::vector<std::int64_t> extents_of(const OnnxImport& import, const OnnxOperand& x) {
  return view_extents(x.view, import.shape(x));
}

bool begins_with_batch(const LayoutView& view) {
  return !view.dims.empty() && view.dims[0] == ViewDim{Axis::kBatch};
}

Status emit_reshape(OnnxImport& import, const onnx::NodeProto& node, const OnnxOperand& x,
                    const std::vector<std::int64_t>& target) {
  Result<LayoutView> view = reshape_view(x.view, import.shape(x), target, SplitChannels::kAllow);
  // With a batch above 1, extents that do not fit may be right for the source.
  if (!view.is_ok() && import.batch > 1) return onnx_unsupported(view.status().message());
  if (!view.is_ok()) return view.status();
  std::optional<LayoutView> shuffled = shuffled_view(*view);
  if (!shuffled) return import.emit_marker(node, x, std::move(view).value());
  Node select = make_node(NodeKind::kSelectChannels, x);
  select.channels = shuffle_order(import.shape(x).channels, view->channel_groups);
  return import.emit(node, std::move(select), *std::move(shuffled));
}

bool drops_values(const OnnxImport& import, const OnnxOperand& x, std::size_t dim) {
  const bool is_batch = x.view.dims[dim] == ViewDim{Axis::kBatch};
  return extents_of(import, x)[dim] != 1 || (is_batch && import.batch > 1);
}

}  // namespace

Status import_reshape(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::int64_t> target,
                          read_reshape_target(import, node, extents_of(import, x)));
  const bool names_batch = !target.empty() && target[0] == import.batch;
  if (names_batch && begins_with_batch(x.view)) target[0] = 1;
  return emit_reshape(import, node, x, target);
}

Status import_flatten(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  const std::vector<std::int64_t> extents = extents_of(import, x);
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t axis, read_flatten_axis(node, extents.size()));
  std::int64_t leading = 1;
  for (std::size_t d = 0; d < axis; ++d) leading *= extents[d];
  return emit_reshape(import, node, x, {leading, -1});
}

Status import_squeeze(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::size_t> axes,
                          read_onnx_axes(import, node, x.view.dims.size()));
  const std::vector<std::int64_t> extents = extents_of(import, x);
  if (axes.empty()) {  // every dimension of extent 1; the batch stays, it may be larger one day
    for (std::size_t d = 0; d < extents.size(); ++d) {
      if (x.view.dims[d].empty()) axes.push_back(d);
    }
  }
  LayoutView view{{}, x.view.channel_groups};
  ViewDim dropped_batch;
  for (std::size_t d = 0; d < extents.size(); ++d) {
    if (!std::binary_search(axes.begin(), axes.end(), d)) {
      view.dims.push_back(x.view.dims[d]);
      continue;
    }
    if (drops_values(import, x, d)) return onnx_corrupt("squeezes a dimension that is not 1");
    dropped_batch.insert(dropped_batch.end(), x.view.dims[d].begin(), x.view.dims[d].end());
  }
  if (!view.dims.empty()) {
    view.dims[0].insert(view.dims[0].begin(), dropped_batch.begin(), dropped_batch.end());
  }
  return import.emit_marker(node, x, std::move(view));
}

Status import_unsqueeze(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t added, count_onnx_axes(import, node));
  const std::size_t rank = x.view.dims.size() + added;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::size_t> axes, read_onnx_axes(import, node, rank));
  LayoutView view{{}, x.view.channel_groups};
  auto next = x.view.dims.begin();
  for (std::size_t d = 0; d < rank; ++d) {
    const bool is_new = std::binary_search(axes.begin(), axes.end(), d);
    view.dims.push_back(is_new ? ViewDim{} : *next++);
  }
  return import.emit_marker(node, x, std::move(view));
}

Status import_transpose(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> permutation,
                          read_permutation(node, x.view.dims.size()));
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view, transpose_view(x.view, permutation));
  return import.emit_marker(node, x, std::move(view));
}

Status import_identity(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  return import.emit_marker(node, x, x.view);
}

Status import_dropout(OnnxImport& import, const onnx::NodeProto& node) {
  if (import.has_input(node, 2)) {
    CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> training,
                            import.constant_ints(node, 2));
    if (training.empty() || training[0] != 0) return onnx_unsupported("dropout in training mode");
  }
  return import_identity(import, node);
}

Status import_cast(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  const std::int64_t to = attributes.integer("to", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (to != onnx::TensorProto::FLOAT) return onnx_unsupported("of a computed tensor");
  return import_identity(import, node);
}

Status import_shape(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxOperand x, import.operand(node, 0));
  OnnxTensor tensor;
  tensor.is_float = false;
  CLEAVE_ASSIGN_OR_RETURN(tensor.ints, select_shape(node, extents_of(import, x)));
  tensor.dims = {static_cast<std::int64_t>(tensor.ints.size())};
  return import.emit_constant(node, std::move(tensor));
}

}  // namespace cleave::importer
