// SPDX-License-Identifier: Apache-2.0
//
// Constants of an ONNX file: initializers, Constant nodes and what folds from them. Kept in the
// source's own dimensions and order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/importer/generated/onnx.pb.h"
#include "schemas/status.h"

namespace cleave::importer {

// Every ONNX element type that is imported becomes one of two: f32, or 64-bit integers.
struct OnnxTensor {
  std::vector<std::int64_t> dims;  // empty: a scalar
  bool is_float = true;
  std::vector<float> floats;       // when is_float
  std::vector<std::int64_t> ints;  // when not

  [[nodiscard]] std::size_t elements() const { return is_float ? floats.size() : ints.size(); }
};

// "[1,3,224,224]"
std::string dims_text(std::span<const std::int64_t> dims);

// Product of `dims`. Errors: kCorrupt for a negative extent or more than 2^31 - 1 elements.
Result<std::size_t> count_elements(std::span<const std::int64_t> dims);

// Reads float, double and float16 as f32, integers and booleans as 64-bit.
// Errors: kUnsupported (element type, data in another file), kCorrupt (sizes that do not agree).
Result<OnnxTensor> read_onnx_tensor(const onnx::TensorProto& proto);

// Part of `tensor`, element (i, j, ...) of the result being element
// offset + i * strides[0] + j * strides[1] + ... of the source: slices and transposes.
// REQUIRES: every such element exists.
OnnxTensor pick_elements(const OnnxTensor& tensor, std::vector<std::int64_t> dims,
                         std::span<const std::int64_t> strides, std::int64_t offset);

// Distance between neighbours along each dimension, in elements.
std::vector<std::int64_t> dense_strides(std::span<const std::int64_t> dims);

}  // namespace cleave::importer
