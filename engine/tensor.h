// SPDX-License-Identifier: Apache-2.0
//
// Tensors are dense NHWC. The batch is a property of a run, not of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schemas/generated/model_generated.h"
#include "schemas/op_shape.h"

namespace cleave {

using TensorId = std::uint32_t;
using OpIndex = std::uint32_t;

// Ops [first, last) of a variant.
struct OpRange {
  OpIndex first = 0;
  OpIndex last = 0;
  [[nodiscard]] bool empty() const { return first >= last; }
  friend bool operator==(const OpRange&, const OpRange&) = default;
};

// Elements of one picture's tensor: height * width * channels.
[[nodiscard]] inline std::size_t element_count(const fbs::Shape& shape) {
  return std::size_t{shape.height()} * shape.width() * shape.channels();
}

[[nodiscard]] inline std::size_t f32_bytes(const fbs::Shape& shape) {
  return element_count(shape) * sizeof(float);
}

// Bytes of one picture's tensor as the engine holds it.
[[nodiscard]] inline std::size_t tensor_bytes(const fbs::Tensor& tensor) {
  return element_count(*tensor.shape()) * dtype_bytes(tensor.dtype());
}

// How the elements of a tensor are held. int8: real = scale * (q - zero_point).
struct TensorType {
  fbs::DType dtype = fbs::DType::F32;
  float scale = 1;
  std::int32_t zero_point = 0;
};

// REQUIRES: a tensor of a checked model file.
[[nodiscard]] inline TensorType tensor_type(const fbs::Tensor& tensor) {
  if (tensor.dtype() != fbs::DType::S8) return {};
  return {fbs::DType::S8, tensor.quantization()->scale()->Get(0),
          tensor.quantization()->zero_point()->Get(0)};
}

}  // namespace cleave
