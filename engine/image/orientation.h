// SPDX-License-Identifier: Apache-2.0
//
// How a stored picture has to be mirrored or turned to stand upright.
// Source: Exif 2.32 (JEITA CP-3451E), tag 274 "Orientation".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave {

// Values as in the file. The name says what is done to the stored picture to see it upright.
enum class Orientation : std::uint8_t {
  kUpright = 1,
  kMirrorColumns = 2,
  kTurn180 = 3,
  kMirrorRows = 4,
  kTranspose = 5,
  kTurn90Clockwise = 6,
  kTransverse = 7,
  kTurn90CounterClockwise = 8,
};

// True when upright width is stored height.
[[nodiscard]] bool swaps_sides(Orientation orientation);

// Orientation of the first Exif segment before the picture data of a JPEG file; kUpright when there
// is none or what is there does not parse. Hostile bytes are fine. No allocation.
[[nodiscard]] Orientation read_exif_orientation(std::span<const std::byte> jpeg);

// `stored` (stored_height x stored_width x channels, u8) turned upright into `upright`.
// REQUIRES: both hold stored_height * stored_width * channels bytes and do not overlap.
void turn_upright(std::span<const std::uint8_t> stored, std::uint32_t stored_width,
                  std::uint32_t stored_height, std::uint32_t channels, Orientation orientation,
                  std::span<std::uint8_t> upright);

}  // namespace cleave
