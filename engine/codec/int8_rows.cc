// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/int8_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace cleave::codec {
namespace {

constexpr float kMostMagnitude = 0x1p120F;
constexpr std::int32_t kMagnitude = 0x7FFFFFFF;
constexpr std::int32_t kInfinity = 0x7F800000;
constexpr std::int32_t kTooManySteps = 0x43800000;  // 256.0F, beyond every level
// Added to less than 2^22, it leaves the nearest integer in the last bits.
constexpr float kRounder = 0x1.8p23F;

// Bits of floats in their order, as integers; 0 is that of 0. Its own inverse.
std::int32_t rank_of(std::int32_t bits) { return bits ^ ((bits >> 31) & kMagnitude); }

float value_of(std::int32_t rank) { return std::bit_cast<float>(rank_of(rank)); }

}  // namespace

// 254 steps, not 255: zero is rounded too, and both ends stay within a byte all the same.
Int8Range int8_range(std::int32_t low, std::int32_t high) {
  const double least = std::max(value_of(low), -kMostMagnitude);
  const double most = std::min(value_of(high), kMostMagnitude);
  const auto step = static_cast<float>((most - least) / 254.0);
  const std::uint32_t rounded_up = (std::bit_cast<std::uint32_t>(step) + 0xFFFF) >> 16;
  Int8Range range;
  range.step = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(rounded_up, kLeastInt8Step, kMostInt8Step));
  range.zero = static_cast<std::uint8_t>(-least / static_cast<double>(step_of(range)) + 0.5);
  return range;
}

float step_of(const Int8Range& range) {
  return std::bit_cast<float>(std::uint32_t{range.step} << 16);
}

// Among integers: compilers make no vectors of comparisons of floats, for the sake of NaN.
void widen_ranges(std::span<const std::byte> values, std::span<std::int32_t> low,
                  std::span<std::int32_t> high) {
  const std::byte* from = values.data();
  std::int32_t* lowest = low.data();
  std::int32_t* highest = high.data();
  for (std::size_t i = 0; i < values.size() / 4; ++i) {
    std::int32_t bits = 0;
    std::memcpy(&bits, from + 4 * i, 4);
    const std::int32_t rank = rank_of(bits);
    const std::int32_t finite = (bits & kMagnitude) < kInfinity ? rank : 0;
    lowest[i] = std::min(lowest[i], finite);
    highest[i] = std::max(highest[i], finite);
  }
}

void quantize_row(std::span<const std::byte> values, std::span<const float> per_step,
                  std::span<const std::int32_t> zero, std::span<std::byte> q) {
  const std::byte* from = values.data();
  const float* scale = per_step.data();
  const std::int32_t* offset = zero.data();
  auto* to = reinterpret_cast<std::uint8_t*>(q.data());
  for (std::size_t i = 0; i < q.size(); ++i) {
    std::int32_t bits = 0;
    std::memcpy(&bits, from + 4 * i, 4);
    const std::int32_t number = (bits & kMagnitude) > kInfinity ? 0 : bits;
    const auto product = std::bit_cast<std::int32_t>(std::bit_cast<float>(number) * scale[i]);
    const std::int32_t magnitude = std::min(product & kMagnitude, kTooManySteps);
    const auto steps = std::bit_cast<float>((product & ~kMagnitude) | magnitude);
    const std::int32_t level = std::bit_cast<std::int32_t>(steps + kRounder) -
                               std::bit_cast<std::int32_t>(kRounder) + offset[i];
    to[i] = static_cast<std::uint8_t>(std::min(std::max(level, 0), 255));
  }
}

void dequantize_row(std::span<const std::byte> q, std::span<const float> step,
                    std::span<const std::int32_t> zero, std::span<std::byte> values) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(q.data());
  const float* scale = step.data();
  const std::int32_t* offset = zero.data();
  std::byte* to = values.data();
  for (std::size_t i = 0; i < q.size(); ++i) {
    const float value = static_cast<float>(std::int32_t{from[i]} - offset[i]) * scale[i];
    std::memcpy(to + 4 * i, &value, 4);
  }
}

}  // namespace cleave::codec
