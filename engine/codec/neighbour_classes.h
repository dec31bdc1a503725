// SPDX-License-Identifier: Apache-2.0
//
// What is known of a level before it is coded: the levels of the same channel at the position to
// the left and at three of the row above. For all channels of a position at once; plain code on
// bytes, which compilers make vectors of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave::codec {

// Of one position, each as long as the channels are many. Outside of the tensor levels are 0.
struct Neighbours {
  const std::int8_t* left = nullptr;
  const std::int8_t* top = nullptr;
  const std::int8_t* top_left = nullptr;
  const std::int8_t* top_right = nullptr;
};

// Levels 0..127: classes[c] = 16 min(left, 3) + 4 min(top, 3) + min(top_left + top_right, 3).
void unsigned_classes(const Neighbours& neighbours, std::span<std::uint8_t> classes);

// Levels -127..127: classes[c] = 10 left + 2 top + (1 if top_left or top_right is not 0), left and
// top being cut off at -2 and 2, and 2 more.
void signed_classes(const Neighbours& neighbours, std::span<std::uint8_t> classes);

}  // namespace cleave::codec
