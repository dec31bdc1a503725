// SPDX-License-Identifier: Apache-2.0
//
// Tensors are dense NHWC. The batch is a property of a run, not of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schemas/generated/model_generated.h"

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

}  // namespace cleave
