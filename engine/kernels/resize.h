// SPDX-License-Identifier: Apache-2.0
//
// The two steps of a resize by weighted sums of neighbouring pixels, in whole numbers: along a row,
// and from row to row. Results are the same in every implementation, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::kernels {

// Output pixel j is the sum of input pixels firsts[j] + i times weights[offsets[j] + i], for i
// below offsets[j + 1] - offsets[j], rounded half up from units of 2^-22 and clamped to 255.
struct ResizeAxis {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  const std::uint32_t* firsts = nullptr;
  const std::uint32_t* offsets = nullptr;  // outputs + 1
  const std::uint32_t* weights = nullptr;
};

// A row of pixels of three channels: [inputs][3] to [outputs][3]. REQUIRES: no window reaches
// beyond the row; the weights of an output add up to 2^24 at most, so that 255 of each, rounded,
// are below 2^32. Reads nothing beyond the row. Thread-safe.
using ResizeLine = void(const ResizeAxis& axis, const std::uint8_t* row, std::uint8_t* line);
ResizeLine u8_resize_line_scalar;
ResizeLine u8_resize_line_avx2;

// sums[i] += weight * line[i], for i below `count`, modulo 2^32. Thread-safe.
using WeighLine = void(std::uint32_t weight, const std::uint8_t* line, std::size_t count,
                       std::uint32_t* sums);
WeighLine u8_weigh_line_scalar;
WeighLine u8_weigh_line_avx2;

inline constexpr unsigned kResizeFractionBits = 22;

[[nodiscard]] inline std::uint8_t round_resized(std::uint32_t sum) {
  const std::uint32_t rounded = (sum + (1U << (kResizeFractionBits - 1))) >> kResizeFractionBits;
  return static_cast<std::uint8_t>(rounded < 255 ? rounded : 255);
}

}  // namespace cleave::kernels
