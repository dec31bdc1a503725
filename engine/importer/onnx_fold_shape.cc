// SPDX-License-Identifier: Apache-2.0
//
// Shape operators on constants: weights that an exporter stored in another layout, and the
// arithmetic on shapes with which exporters compute a Reshape's target.
#include <algorithm>
#include <utility>

#include "engine/importer/onnx_axes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

Status emit_with_dims(OnnxImport& import, const onnx::NodeProto& node, OnnxTensor tensor,
                      std::vector<std::int64_t> dims) {
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t count, count_elements(dims));
  if (count != tensor.elements()) {
    return onnx_corrupt("reshapes " + std::to_string(tensor.elements()) + " elements to " +
                        dims_text(dims));
  }
  tensor.dims = std::move(dims);
  return import.emit_constant(node, std::move(tensor));
}

// One range of Slice along one dimension.
struct SliceRange {
  std::int64_t start, count, step;
};

// By ONNX's rules: negative indices count from the end, then both are clamped to the dimension.
Result<SliceRange> resolve_slice(std::int64_t start, std::int64_t end, std::int64_t step,
                                 std::int64_t extent) {
  if (step < 1 || step > extent + 1) return onnx_unsupported("a step that is not positive or long");
  const auto clamp_index = [&](std::int64_t index) {
    return std::clamp<std::int64_t>(index < 0 ? index + extent : index, 0, extent);
  };
  start = clamp_index(start);
  end = clamp_index(end);
  return SliceRange{start, end <= start ? 0 : (end - start + step - 1) / step, step};
}

struct SliceArguments {
  std::vector<std::int64_t> starts, ends, axes, steps;
};

Result<SliceArguments> read_slice(const OnnxImport& import, const onnx::NodeProto& node) {
  SliceArguments s;
  if (import.opset < 10) {
    OnnxAttributes attributes(node);
    s.starts = attributes.integers("starts", {});
    s.ends = attributes.integers("ends", {});
    s.axes = attributes.integers("axes", {});
    CLEAVE_RETURN_IF_ERROR(attributes.status());
  } else {
    CLEAVE_ASSIGN_OR_RETURN(s.starts, import.constant_ints(node, 1));
    CLEAVE_ASSIGN_OR_RETURN(s.ends, import.constant_ints(node, 2));
    if (import.has_input(node, 3)) {
      CLEAVE_ASSIGN_OR_RETURN(s.axes, import.constant_ints(node, 3));
    }
    if (import.has_input(node, 4)) {
      CLEAVE_ASSIGN_OR_RETURN(s.steps, import.constant_ints(node, 4));
    }
  }
  if (s.axes.empty()) {
    for (std::size_t i = 0; i < s.starts.size(); ++i) s.axes.push_back(static_cast<int>(i));
  }
  if (s.steps.empty()) s.steps.assign(s.starts.size(), 1);
  const std::size_t count = s.starts.size();
  if (s.ends.size() != count || s.axes.size() != count || s.steps.size() != count) {
    return onnx_corrupt("starts, ends, axes and steps differ in length");
  }
  return s;
}

}  // namespace

Status fold_reshape(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::int64_t> target,
                          read_reshape_target(import, node, tensor.dims));
  const auto inferred = std::find(target.begin(), target.end(), -1);
  if (inferred != target.end()) {
    *inferred = 1;
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t known, count_elements(target));
    if (known == 0) return onnx_corrupt("reshape to " + dims_text(target));
    *inferred = static_cast<std::int64_t>(tensor.elements() / known);
  }
  return emit_with_dims(import, node, std::move(tensor), std::move(target));
}

Status fold_flatten(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t axis, read_flatten_axis(node, tensor.dims.size()));
  std::vector<std::int64_t> dims(2, 1);
  for (std::size_t d = 0; d < tensor.dims.size(); ++d) dims[d < axis ? 0 : 1] *= tensor.dims[d];
  return emit_with_dims(import, node, std::move(tensor), std::move(dims));
}

Status fold_squeeze(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::size_t> axes,
                          read_onnx_axes(import, node, tensor.dims.size()));
  std::vector<std::int64_t> dims;
  for (std::size_t d = 0; d < tensor.dims.size(); ++d) {
    const bool named = std::binary_search(axes.begin(), axes.end(), d);
    const bool dropped = axes.empty() ? tensor.dims[d] == 1 : named;
    if (!dropped) dims.push_back(tensor.dims[d]);
  }
  return emit_with_dims(import, node, std::move(tensor), std::move(dims));
}

Status fold_unsqueeze(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t added, count_onnx_axes(import, node));
  const std::size_t rank = tensor.dims.size() + added;
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::size_t> axes, read_onnx_axes(import, node, rank));
  std::vector<std::int64_t> dims;
  auto next = tensor.dims.begin();
  for (std::size_t d = 0; d < rank; ++d) {
    dims.push_back(std::binary_search(axes.begin(), axes.end(), d) ? 1 : *next++);
  }
  return emit_with_dims(import, node, std::move(tensor), std::move(dims));
}

Status fold_transpose(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> permutation,
                          read_permutation(node, tensor.dims.size()));
  const std::vector<std::int64_t> source = dense_strides(tensor.dims);
  std::vector<std::int64_t> dims, strides;
  for (const std::int64_t from : permutation) {
    dims.push_back(tensor.dims[static_cast<std::size_t>(from)]);
    strides.push_back(source[static_cast<std::size_t>(from)]);
  }
  return import.emit_constant(node, pick_elements(tensor, std::move(dims), strides, 0));
}

Status fold_identity(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  return import.emit_constant(node, std::move(tensor));
}

Status fold_shape(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor tensor, import.constant(node, 0));
  OnnxTensor shape;
  shape.is_float = false;
  CLEAVE_ASSIGN_OR_RETURN(shape.ints, select_shape(node, tensor.dims));
  shape.dims = {static_cast<std::int64_t>(shape.ints.size())};
  return import.emit_constant(node, std::move(shape));
}

Status fold_slice(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor tensor, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const SliceArguments slice, read_slice(import, node));
  std::vector<std::int64_t> dims = tensor.dims;
  std::vector<std::int64_t> strides = dense_strides(dims);
  std::vector<bool> sliced(dims.size(), false);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < slice.axes.size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(slice.axes[i], dims.size()));
    if (sliced[dim]) return onnx_corrupt("an axis is named twice");
    sliced[dim] = true;
    CLEAVE_ASSIGN_OR_RETURN(const SliceRange range, resolve_slice(slice.starts[i], slice.ends[i],
                                                                  slice.steps[i], dims[dim]));
    offset += range.start * strides[dim];
    dims[dim] = range.count;
    strides[dim] *= range.step;
  }
  return import.emit_constant(node, pick_elements(tensor, std::move(dims), strides, offset));
}

}  // namespace cleave::importer
