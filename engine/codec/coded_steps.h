// SPDX-License-Identifier: Apache-2.0
//
// Where f32 values stand among the steps of codec Coded, and where levels stand: the arithmetic
// that its two ways of quantizing share. The same bits on every architecture.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/codec/coded_table.h"

namespace cleave::codec {

struct SignedSteps {
  std::int32_t steps;  // not negative
  std::int32_t sign;   // -1 of negative values, else 0
  [[nodiscard]] std::int32_t value() const { return (steps ^ sign) - sign; }
};

// floor(min(|value| * per_step, most) + rounding) of the f32 at `value`, NaN being 0.
// `most_bits` are those of a float. Magnitudes are compared as integers: compilers make no vectors
// of comparisons of floats. Subnormals that are flushed to zero, or not, are far below the next
// step.
inline SignedSteps steps_of(const std::byte* value, float per_step, float rounding,
                            std::int32_t most_bits) {
  constexpr std::int32_t kMagnitudeBits = 0x7FFFFFFF;
  constexpr std::int32_t kInfinityBits = 0x7F800000;
  std::int32_t bits = 0;
  std::memcpy(&bits, value, 4);
  std::int32_t magnitude = bits & kMagnitudeBits;
  magnitude = magnitude > kInfinityBits ? 0 : magnitude;
  const auto many = std::bit_cast<std::int32_t>(std::bit_cast<float>(magnitude) * per_step);
  const float bounded = std::bit_cast<float>(std::min(many, most_bits));
  return {static_cast<std::int32_t>(bounded + rounding), bits >> 31};
}

// The largest magnitude that is placed, in 1/256 step: within 16 bits.
inline constexpr std::int32_t kMostPlace = 256 * kMostLevel;

// Of a level of that magnitude, in 1/256 step: 256 magnitude + centroid - rounding; in the middle
// of its interval where there is no centroid.
inline std::int32_t place_of(const CodedTensorTable& table, int magnitude) {
  if (magnitude == 0) return 0;
  const auto index = static_cast<std::size_t>(magnitude - 1);
  const int centroid = index < kCentroids ? table.centroids[index] : 128;
  return 256 * magnitude + centroid - table.rounding;
}

}  // namespace cleave::codec
