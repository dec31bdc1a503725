// SPDX-License-Identifier: Apache-2.0
//
// What it costs to code a bit whose probability is known: integers, as everything that decides
// what is written.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "engine/codec/range_coder.h"

namespace cleave::codec {

// 256 times the logarithm to base 2 of a number from 1, rounded down: its bits behind the point are
// those by which repeated squares come to 2.
constexpr std::uint32_t log2_of(std::uint32_t number) {
  const auto whole = static_cast<std::uint32_t>(std::bit_width(number)) - 1;
  std::uint64_t rest = (std::uint64_t{number} << 31) >> whole;  // 2^31 is 1
  std::uint32_t result = whole;
  for (int i = 0; i < 8; ++i) {
    rest = rest * rest >> 31;
    const std::uint32_t bit = rest >> 32 != 0 ? 1 : 0;
    rest >>= bit;
    result = result << 1 | bit;
  }
  return result;
}

// -log2 in 1/256 bit of the probabilities from i / 512 to (i + 1) / 512, in their middle.
inline constexpr std::array<std::uint16_t, 512> kBitCosts = [] {
  std::array<std::uint16_t, 512> costs{};
  for (std::uint32_t i = 0; i < costs.size(); ++i) {
    costs[i] = static_cast<std::uint16_t>(10 * 256 - log2_of(2 * i + 1));
  }
  return costs;
}();

// Of that bit, as `model` stands, in 1/256 bit.
inline std::int32_t bit_cost(const BitModel& model, bool bit) {
  const std::uint32_t one = model.probability();
  return kBitCosts[(bit ? one : 0x10000 - one) >> 7];
}

}  // namespace cleave::codec
