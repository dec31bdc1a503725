// SPDX-License-Identifier: Apache-2.0
//
// What Pillow makes of some pictures; written by golden/make_golden.py.
#pragma once

#include <cstdint>
#include <vector>

namespace cleave::test {

// pattern(input, channels, seed) resized; fnv1a of the result.
struct ResizeGolden {
  std::uint32_t input_width;
  std::uint32_t input_height;
  std::uint32_t output_width;
  std::uint32_t output_height;
  std::uint32_t channels;
  std::uint32_t seed;
  std::uint64_t hash;
};

// The same with the result itself.
struct SmallResizeGolden {
  std::uint32_t input_width;
  std::uint32_t input_height;
  std::uint32_t output_width;
  std::uint32_t output_height;
  std::uint32_t channels;
  std::uint32_t seed;
  std::vector<std::uint8_t> pixels;
};

// A file of the folder golden, 21 x 18 pixels.
struct FileGolden {
  const char* name;
  std::uint64_t rgb_hash;          // fnv1a of the picture as RGB, not resized
  std::vector<std::uint8_t> rgb;   // resized to 4 x 3
  std::vector<std::uint8_t> gray;  // made gray, then resized to 4 x 3
};

#include "tests/engine/image/golden/expected.inc"

}  // namespace cleave::test
