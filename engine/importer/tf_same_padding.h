// SPDX-License-Identifier: Apache-2.0
//
// TensorFlow's SAME padding, shared by the two readers of its formats: ceil(input / stride)
// positions, and of the zeros this needs the odd one goes to the bottom or right.
#pragma once

#include <cstdint>

#include "engine/importer/graph.h"

namespace cleave::importer {

struct Padding1D {
  std::uint32_t before = 0, after = 0;
};

// REQUIRES: stride >= 1, window >= 1; window * dilation fits 32 bits after the caller's caps.
[[nodiscard]] inline Padding1D same_padding_1d(std::uint32_t input, std::uint32_t window,
                                               std::uint32_t stride, std::uint32_t dilation) {
  const std::uint64_t positions = (std::uint64_t{input} + stride - 1) / stride;
  const std::uint64_t needed = (positions - 1) * stride + std::uint64_t{window - 1} * dilation + 1;
  if (positions == 0 || needed <= input) return {};
  const std::uint64_t total = needed - input;
  return {static_cast<std::uint32_t>(total / 2), static_cast<std::uint32_t>(total - total / 2)};
}

[[nodiscard]] inline Padding2D same_padding(const Hwc& input, const Window2D& window) {
  const Padding1D vertical =
      same_padding_1d(input.height, window.height, window.stride_height, window.dilation_height);
  const Padding1D horizontal =
      same_padding_1d(input.width, window.width, window.stride_width, window.dilation_width);
  return {vertical.before, horizontal.after, vertical.after, horizontal.before};
}

}  // namespace cleave::importer
