// SPDX-License-Identifier: Apache-2.0
//
// The shape that an op computes from the shapes of its inputs: the table of schemas/model_format.md
// in code, for the reader, the engine and the importer alike. Shapes are height x width x channels
// of one picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint32_t kMaxDimension = 65536;
inline constexpr std::uint64_t kMaxTensorElements = std::uint64_t{1} << 31;
// Windows, strides, dilations and paddings.
inline constexpr std::uint32_t kMaxWindowExtent = 4096;
inline constexpr std::uint32_t kMaxConcatInputs = 256;

// "Conv2D", ...: the operator's name in model.fbs; static storage.
[[nodiscard]] const char* op_kind_name(const fbs::Op& op);

// Bytes of one element.
[[nodiscard]] std::uint32_t dtype_bytes(fbs::DType dtype);

[[nodiscard]] inline bool same_shape(const fbs::Shape& a, const fbs::Shape& b) {
  return a.height() == b.height() && a.width() == b.width() && a.channels() == b.channels();
}

// "8x8x3", for messages.
[[nodiscard]] std::string shape_text(const fbs::Shape& shape);

// kOk, or kCorrupt when a dimension is 0 or over kMaxDimension, or the product over
// kMaxTensorElements.
[[nodiscard]] Status check_shape(const fbs::Shape& shape);

// Elements along one axis of the output of a window that slides over `input` elements:
// floor((input + before + after - ((window - 1) * dilation + 1)) / stride) + 1.
// Errors: kCorrupt when an argument is 0 or over its cap, or the window does not fit.
struct WindowAxis {
  std::uint32_t input = 1, window = 1, stride = 1, dilation = 1, before = 0, after = 0;
};
[[nodiscard]] Result<std::uint32_t> window_output_extent(const WindowAxis& axis);

// Shape of the op's output. The output channels of Conv2D and FullyConnected follow from the length
// of their kernel. Looks at options and kernel length only, not at clamp, constants or segments.
// REQUIRES: `op` has passed the Verifier (a model file's op, or one just built); inputs pass
// check_shape(). Errors: kCorrupt saying which rule does not hold. Thread-safe.
[[nodiscard]] Result<fbs::Shape> infer_op_shape(const fbs::Op& op,
                                                std::span<const fbs::Shape> inputs);

}  // namespace cleave
