// SPDX-License-Identifier: Apache-2.0
//
// Operators that make constants, and arithmetic on constants.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/importer/onnx_attributes.h"
#include "engine/importer/onnx_ops.h"

namespace cleave::importer {
namespace {

OnnxTensor ints_tensor(std::vector<std::int64_t> ints, std::vector<std::int64_t> dims) {
  OnnxTensor tensor;
  tensor.is_float = false;
  tensor.ints = std::move(ints);
  tensor.dims = std::move(dims);
  return tensor;
}

OnnxTensor floats_tensor(std::vector<float> floats, std::vector<std::int64_t> dims) {
  OnnxTensor tensor;
  tensor.floats = std::move(floats);
  tensor.dims = std::move(dims);
  return tensor;
}

std::int64_t signed_size(std::size_t size) { return static_cast<std::int64_t>(size); }

// Copies whole runs: `run` elements from element `from` of `source` to the end of `out`.
void append_run(OnnxTensor& out, const OnnxTensor& source, std::size_t from, std::size_t run) {
  const auto copy = [&](auto& to, const auto& elements) {
    const auto begin = elements.begin() + signed_size(from);
    to.insert(to.end(), begin, begin + signed_size(run));
  };
  if (source.is_float) {
    copy(out.floats, source.floats);
  } else {
    copy(out.ints, source.ints);
  }
}

std::size_t extent_product(const std::vector<std::int64_t>& dims, std::size_t first,
                           std::size_t last) {
  std::size_t product = 1;
  for (std::size_t d = first; d < last; ++d) product *= static_cast<std::size_t>(dims[d]);
  return product;
}

// The shape that `a` and `b` broadcast to (dimensions aligned at the last).
Result<std::vector<std::int64_t>> broadcast_dims(const std::vector<std::int64_t>& a,
                                                 const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> dims(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return onnx_corrupt(dims_text(a) + " and " + dims_text(b) + " do not broadcast");
    }
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return dims;
}

OnnxTensor broadcast_to(const OnnxTensor& tensor, const std::vector<std::int64_t>& dims) {
  const std::vector<std::int64_t> own = dense_strides(tensor.dims);
  std::vector<std::int64_t> strides(dims.size(), 0);
  const std::size_t missing = dims.size() - own.size();
  for (std::size_t d = 0; d < own.size(); ++d) {
    strides[d + missing] = tensor.dims[d] == 1 ? 0 : own[d];
  }
  return pick_elements(tensor, dims, strides, 0);
}

Result<float> compute(const std::string& type, float a, float b) {
  if (type == "Add") return a + b;
  if (type == "Sub") return a - b;
  return type == "Mul" ? a * b : a / b;
}

Result<std::int64_t> compute(const std::string& type, std::int64_t a, std::int64_t b) {
  // Shapes are far below this; anything else is not worth folding.
  constexpr std::int64_t kLimit = std::numeric_limits<std::int32_t>::max();
  if (std::max(a, b) > kLimit || std::min(a, b) < -kLimit || (type == "Div" && b == 0)) {
    return onnx_corrupt("integer arithmetic out of range");
  }
  if (type == "Add") return a + b;
  if (type == "Sub") return a - b;
  return type == "Mul" ? a * b : a / b;
}

template <typename T>
Status compute_all(const std::string& type, std::vector<T>& a, const std::vector<T>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(a[i], compute(type, a[i], b[i]));
  }
  return Status::ok();
}

}  // namespace

Status fold_constant(OnnxImport& import, const onnx::NodeProto& node) {
  OnnxAttributes attributes(node);
  if (const onnx::TensorProto* value = attributes.tensor("value")) {
    CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, read_onnx_tensor(*value));
    return import.emit_constant(node, std::move(tensor));
  }
  OnnxTensor tensor;
  if (attributes.has("value_float")) {
    tensor = floats_tensor({attributes.number("value_float", 0)}, {});
  } else if (attributes.has("value_floats")) {
    tensor.floats = attributes.numbers("value_floats");
    tensor.dims = {signed_size(tensor.floats.size())};
  } else if (attributes.has("value_int")) {
    tensor = ints_tensor({attributes.integer("value_int", 0)}, {});
  } else if (attributes.has("value_ints")) {
    tensor = ints_tensor(attributes.integers("value_ints", {}), {});
    tensor.dims = {signed_size(tensor.ints.size())};
  } else {
    CLEAVE_RETURN_IF_ERROR(attributes.status());
    return onnx_unsupported("a constant that is not of numbers");
  }
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  return import.emit_constant(node, std::move(tensor));
}

Status fold_constant_of_shape(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::int64_t> dims, import.constant_ints(node, 0));
  OnnxAttributes attributes(node);
  const onnx::TensorProto* value = attributes.tensor("value");
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  OnnxTensor fill = floats_tensor({0.0f}, {1});
  if (value != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(fill, read_onnx_tensor(*value));
  }
  if (fill.elements() != 1) return onnx_corrupt("a value that is no scalar");
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t count, count_elements(dims));
  CLEAVE_RETURN_IF_ERROR(import.take_constant_budget(count, fill.is_float));
  OnnxTensor tensor =
      fill.is_float ? floats_tensor(std::vector<float>(count, fill.floats[0]), std::move(dims))
                    : ints_tensor(std::vector<std::int64_t>(count, fill.ints[0]), std::move(dims));
  return import.emit_constant(node, std::move(tensor));
}

Status fold_cast(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(OnnxTensor tensor, import.constant(node, 0));
  OnnxAttributes attributes(node);
  const std::int64_t to = attributes.integer("to", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  const bool to_float = to == onnx::TensorProto::FLOAT;
  if (!to_float && to != onnx::TensorProto::INT64 && to != onnx::TensorProto::INT32) {
    return onnx_unsupported("to element type " + std::to_string(to));
  }
  if (to_float == tensor.is_float) return import.emit_constant(node, std::move(tensor));
  CLEAVE_RETURN_IF_ERROR(import.take_constant_budget(tensor.elements(), to_float));
  if (to_float) {
    std::vector<float> floats;
    for (const std::int64_t x : tensor.ints) floats.push_back(static_cast<float>(x));
    return import.emit_constant(node, floats_tensor(std::move(floats), std::move(tensor.dims)));
  }
  std::vector<std::int64_t> ints;
  for (const float x : tensor.floats) {
    if (!(std::fabs(x) < 2147483648.0f)) return onnx_corrupt("a number too large to cast");
    ints.push_back(static_cast<std::int64_t>(x));
  }
  return import.emit_constant(node, ints_tensor(std::move(ints), std::move(tensor.dims)));
}

Status fold_gather(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor data, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor indices, import.constant(node, 1));
  if (indices.is_float) return onnx_corrupt("indices that are not integers");
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(axis, data.dims.size()));

  const auto at = data.dims.begin() + signed_size(dim);
  std::vector<std::int64_t> dims(data.dims.begin(), at);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), at + 1, data.dims.end());
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t count, count_elements(dims));
  CLEAVE_RETURN_IF_ERROR(import.take_constant_budget(count, data.is_float));

  const std::size_t outer = extent_product(data.dims, 0, dim);
  const std::size_t run = extent_product(data.dims, dim + 1, data.dims.size());
  const auto extent = static_cast<std::size_t>(data.dims[dim]);
  OnnxTensor out;
  out.is_float = data.is_float;
  for (std::size_t o = 0; o < outer; ++o) {
    for (const std::int64_t index : indices.ints) {
      CLEAVE_ASSIGN_OR_RETURN(const std::size_t from, resolve_axis(index, extent));
      append_run(out, data, (o * extent + from) * run, run);
    }
  }
  out.dims = std::move(dims);
  return import.emit_constant(node, std::move(out));
}

Status fold_concat(OnnxImport& import, const onnx::NodeProto& node) {
  std::vector<OnnxTensor> parts;
  for (int i = 0; i < node.input_size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(OnnxTensor part, import.constant(node, i));
    CLEAVE_RETURN_IF_ERROR(import.take_constant_budget(part.elements(), part.is_float));
    parts.push_back(std::move(part));
  }
  const OnnxTensor& first = parts[0];
  OnnxAttributes attributes(node);
  const std::int64_t axis = attributes.integer("axis", 0);
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t dim, resolve_axis(axis, first.dims.size()));
  OnnxTensor out;
  out.is_float = first.is_float;
  out.dims = first.dims;
  out.dims[dim] = 0;
  for (const OnnxTensor& part : parts) {
    std::vector<std::int64_t> others = part.dims;
    if (part.is_float != first.is_float || others.size() != first.dims.size()) {
      return onnx_corrupt("inputs of different types or numbers of dimensions");
    }
    others[dim] = first.dims[dim];
    if (others != first.dims) return onnx_corrupt("inputs that differ along another axis");
    out.dims[dim] += part.dims[dim];
  }
  for (std::size_t o = 0; o < extent_product(first.dims, 0, dim); ++o) {
    for (const OnnxTensor& part : parts) {
      const std::size_t run = extent_product(part.dims, dim, part.dims.size());
      append_run(out, part, o * run, run);
    }
  }
  return import.emit_constant(node, std::move(out));
}

Status fold_arith(OnnxImport& import, const onnx::NodeProto& node) {
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor a, import.constant(node, 0));
  CLEAVE_ASSIGN_OR_RETURN(const OnnxTensor b, import.constant(node, 1));
  if (a.is_float != b.is_float) return onnx_corrupt("inputs of different types");
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> dims, broadcast_dims(a.dims, b.dims));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t count, count_elements(dims));
  CLEAVE_RETURN_IF_ERROR(import.take_constant_budget(count, a.is_float));
  OnnxTensor out = broadcast_to(a, dims);
  const OnnxTensor other = broadcast_to(b, dims);
  CLEAVE_RETURN_IF_ERROR(a.is_float ? compute_all(node.op_type(), out.floats, other.floats)
                                    : compute_all(node.op_type(), out.ints, other.ints));
  return import.emit_constant(node, std::move(out));
}

}  // namespace cleave::importer
