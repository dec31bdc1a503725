// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_axes.h"

#include <algorithm>

namespace cleave::importer {
namespace {

Result<std::vector<std::int64_t>> read_axes_as_given(const OnnxImport& import,
                                                     const onnx::NodeProto& node) {
  if (import.opset >= 13) {
    if (!import.has_input(node, 1)) return std::vector<std::int64_t>{};
    return import.constant_ints(node, 1);
  }
  OnnxAttributes attributes(node);
  std::vector<std::int64_t> axes = attributes.integers("axes", {});
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  return axes;
}

}  // namespace

Result<std::vector<std::size_t>> read_onnx_axes(const OnnxImport& import,
                                                const onnx::NodeProto& node, std::size_t rank) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> given, read_axes_as_given(import, node));
  std::vector<std::size_t> axes;
  for (const std::int64_t axis : given) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t index, resolve_axis(axis, rank));
    axes.push_back(index);
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return onnx_corrupt("an axis is named twice");
  }
  return axes;
}

Result<std::size_t> count_onnx_axes(const OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> given, read_axes_as_given(import, node));
  return given.size();
}

Result<std::vector<std::int64_t>> read_reshape_target(const OnnxImport& import,
                                                      const onnx::NodeProto& node,
                                                      std::span<const std::int64_t> dims) {
  OnnxAttributes attributes(node);
  const bool zero_means_zero = attributes.integer("allowzero", 0) != 0;
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::int64_t> target, import.constant_ints(node, 1));
  for (std::size_t d = 0; d < target.size(); ++d) {
    if (target[d] != 0 || zero_means_zero) continue;
    if (d >= dims.size()) return onnx_corrupt("reshape keeps a dimension that is not there");
    target[d] = dims[d];
  }
  return target;
}

Result<std::vector<std::int64_t>> read_permutation(const onnx::NodeProto& node, std::size_t rank) {
  std::vector<std::int64_t> reversed;
  for (std::size_t d = rank; d-- > 0;) reversed.push_back(static_cast<std::int64_t>(d));
  OnnxAttributes attributes(node);
  std::vector<std::int64_t> permutation = attributes.integers("perm", reversed);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  std::vector<std::int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  std::sort(reversed.begin(), reversed.end());
  if (sorted != reversed) return onnx_corrupt("perm is not a permutation of the dimensions");
  return permutation;
}

Result<std::size_t> read_flatten_axis(const onnx::NodeProto& node, std::size_t rank) {
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 1);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (axis == static_cast<std::int64_t>(rank)) return rank;
  return resolve_axis(axis, rank);
}

Result<std::vector<std::int64_t>> select_shape(const onnx::NodeProto& node,
                                               std::vector<std::int64_t> dims) {
  OnnxAttributes attributes(node);
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto clamp_index = [&](std::int64_t index) {
    return std::clamp<std::int64_t>(index < 0 ? index + rank : index, 0, rank);
  };
  const std::int64_t start = clamp_index(attributes.integer("start", 0));
  const std::int64_t end = clamp_index(attributes.integer("end", rank));
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  if (start >= end) return std::vector<std::int64_t>{};
  return std::vector<std::int64_t>(dims.begin() + start, dims.begin() + end);
}

}  // namespace cleave::importer
