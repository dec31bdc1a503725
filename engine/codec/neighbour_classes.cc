// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/neighbour_classes.h"

#include <algorithm>

namespace cleave::codec {
namespace {

std::uint8_t bits_of(std::int8_t level) { return static_cast<std::uint8_t>(level); }

// -2..2 as 0..4.
std::uint8_t five_ways(std::int8_t level) {
  return bits_of(
      static_cast<std::int8_t>(std::min<std::int8_t>(std::max<std::int8_t>(level, -2), 2) + 2));
}

}  // namespace

void unsigned_classes(const Neighbours& neighbours, std::span<std::uint8_t> classes) {
  const auto [left, top, top_left, top_right] = neighbours;
  std::uint8_t* out = classes.data();
  constexpr std::uint8_t kMost = 3;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::uint8_t across =
        static_cast<std::uint8_t>(bits_of(top_left[c]) + bits_of(top_right[c]));
    out[c] =
        static_cast<std::uint8_t>(std::min(bits_of(left[c]), kMost) << 4 |
                                  std::min(bits_of(top[c]), kMost) << 2 | std::min(across, kMost));
  }
}

void signed_classes(const Neighbours& neighbours, std::span<std::uint8_t> classes) {
  const auto [left, top, top_left, top_right] = neighbours;
  std::uint8_t* out = classes.data();
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::uint8_t across = (top_left[c] | top_right[c]) != 0 ? 1 : 0;
    out[c] = static_cast<std::uint8_t>(five_ways(left[c]) * 10 + five_ways(top[c]) * 2 + across);
  }
}

}  // namespace cleave::codec
