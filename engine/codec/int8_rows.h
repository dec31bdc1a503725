// SPDX-License-Identifier: Apache-2.0
//
// The loops of the int8 codec over a row of values, each with the range of its own place in the
// row. Plain code: compilers make vectors of it. Every float operation is one of IEEE 754 whose
// result is used where rounding or flushing of subnormals cannot show, so that the bits are the
// same on every architecture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave::codec {

// How the values of one channel, or of a whole tensor, become bytes: real = (q - zero) * step.
struct Int8Range {
  std::uint16_t step = 0;  // the upper half of a positive f32
  std::uint8_t zero = 0;
};

// Steps a stream may have, both included: 2^-110 and 2^115. 255 steps are a normal f32 then.
inline constexpr std::uint16_t kLeastInt8Step = 0x0880;
inline constexpr std::uint16_t kMostInt8Step = 0x7900;

// For values of ranks `low` to `high` (see widen_ranges), which hold 0 between them: the finest
// step, rounded up, with which each is at most half a step from its q. REQUIRES: low <= 0 <= high.
[[nodiscard]] Int8Range int8_range(std::int32_t low, std::int32_t high);

// The step as a number.
[[nodiscard]] float step_of(const Int8Range& range);

// Widens low[i]..high[i] to hold the rank of the f32 values[i], unless that is infinite or NaN.
// Ranks are integers in the order of the floats, from 0 for 0.
// REQUIRES: low and high are as long as `values` or longer.
void widen_ranges(std::span<const std::byte> values, std::span<std::int32_t> low,
                  std::span<std::int32_t> high);

// q[i] of the f32 values[i], to nearest, ties to even, and to 0..255; of NaN that of 0.
// REQUIRES: the others are as long as q or longer; per_step[i] is 1 / step, zero[i] 0..255.
void quantize_row(std::span<const std::byte> values, std::span<const float> per_step,
                  std::span<const std::int32_t> zero, std::span<std::byte> q);

// The reverse, exactly.
void dequantize_row(std::span<const std::byte> q, std::span<const float> step,
                    std::span<const std::int32_t> zero, std::span<std::byte> values);

}  // namespace cleave::codec
