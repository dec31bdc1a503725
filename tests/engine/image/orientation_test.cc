// SPDX-License-Identifier: Apache-2.0
#include "engine/image/orientation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

Pixels turned(const Pixels& stored, std::uint32_t width, std::uint32_t height,
              std::uint32_t channels, int orientation) {
  Pixels upright(stored.size());
  turn_upright(stored, width, height, channels, static_cast<Orientation>(orientation), upright);
  return upright;
}

// The words of Exif 2.32 for tag 274: where the 0th row and the 0th column of the stored picture
// are seen. A stored picture of 3 x 2 pixels, 1 2 3 over 4 5 6:
TEST_CASE("each Exif orientation puts the stored rows and columns where the standard says") {
  const Pixels stored = {1, 2, 3, 4, 5, 6};
  CHECK(turned(stored, 3, 2, 1, 1) == Pixels{1, 2, 3, 4, 5, 6});  // row top, column left
  CHECK(turned(stored, 3, 2, 1, 2) == Pixels{3, 2, 1, 6, 5, 4});  // row top, column right
  CHECK(turned(stored, 3, 2, 1, 3) == Pixels{6, 5, 4, 3, 2, 1});  // row bottom, column right
  CHECK(turned(stored, 3, 2, 1, 4) == Pixels{4, 5, 6, 1, 2, 3});  // row bottom, column left
  CHECK(turned(stored, 3, 2, 1, 5) == Pixels{1, 4, 2, 5, 3, 6});  // row left, column top
  CHECK(turned(stored, 3, 2, 1, 6) == Pixels{4, 1, 5, 2, 6, 3});  // row right, column top
  CHECK(turned(stored, 3, 2, 1, 7) == Pixels{6, 3, 5, 2, 4, 1});  // row right, column bottom
  CHECK(turned(stored, 3, 2, 1, 8) == Pixels{3, 6, 2, 5, 1, 4});  // row left, column bottom
}

TEST_CASE("channels of a pixel stay together") {
  CHECK(turned({1, 2, 3, 4, 5, 6}, 2, 1, 3, 6) == Pixels{1, 2, 3, 4, 5, 6});
  CHECK(turned({1, 2, 3, 4, 5, 6}, 2, 1, 3, 2) == Pixels{4, 5, 6, 1, 2, 3});
}

TEST_CASE("the orientation is read from big and little endian Exif") {
  const Pixels pixels = gradient(8, 8, 3);
  const Bytes jpeg = make_jpeg({.width = 8, .height = 8}, rows_of(pixels, 8, 3));
  CHECK(read_exif_orientation(jpeg) == Orientation::kUpright);
  for (std::uint16_t value = 1; value <= 8; ++value) {
    for (const bool big_endian : {false, true}) {
      const Bytes file = with_exif_orientation(jpeg, value, big_endian);
      CHECK(static_cast<int>(read_exif_orientation(file)) == value);
    }
  }
  for (const int value : {0, 9, 255, 65535}) {
    const Bytes file = with_exif_orientation(jpeg, static_cast<std::uint16_t>(value), true);
    CHECK(read_exif_orientation(file) == Orientation::kUpright);
  }
}

TEST_CASE("an Exif segment that is cut or damaged anywhere is read within its bounds") {
  const Pixels pixels = gradient(8, 8, 3);
  const Bytes jpeg = make_jpeg({.width = 8, .height = 8}, rows_of(pixels, 8, 3));
  const Bytes file = with_exif_orientation(jpeg, 6, false);
  constexpr std::size_t kExifEnd = 2 + 4 + 6 + 38;
  constexpr std::size_t kValueEnd = kExifEnd - 6;
  for (std::size_t size = 0; size < kExifEnd; ++size) {
    // A copy of the exact size, so that a sanitizer sees a read beyond it.
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(read_exif_orientation(cut) == Orientation::kUpright);
  }
  for (std::size_t at = 0; at < kValueEnd; ++at) {
    for (const int value : {0x00, 0x7F, 0xFF}) {
      Bytes damaged(file.begin(), file.begin() + kExifEnd);
      damaged[at] = static_cast<std::byte>(value);
      const int orientation = static_cast<int>(read_exif_orientation(damaged));
      CHECK(orientation >= 1);
      CHECK(orientation <= 8);
    }
  }
}

// The stored picture has a white corner; each orientation says in which corner it is seen.
TEST_CASE("a photo is seen upright, also by a model whose input is not square") {
  constexpr std::uint32_t kWidth = 64;
  constexpr std::uint32_t kHeight = 32;
  const Bytes jpeg = make_jpeg({.width = kWidth, .height = kHeight},
                               [](std::uint32_t y, std::span<std::uint8_t> row) {
                                 std::fill(row.begin(), row.end(), std::uint8_t{0});
                                 if (y < 16) std::fill_n(row.begin(), 3 * 16, std::uint8_t{255});
                               });
  // Of the stored top left corner, by orientation 1..8: is it seen at the bottom, at the right?
  constexpr std::array<std::array<bool, 2>, 8> kSeen = {{{false, false},
                                                         {false, true},
                                                         {true, true},
                                                         {true, false},
                                                         {false, false},
                                                         {false, true},
                                                         {true, true},
                                                         {true, false}}};
  for (std::uint16_t orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Bytes file = with_exif_orientation(jpeg, orientation, true);
    const std::uint32_t width = orientation >= 5 ? 6 : 12;
    const std::uint32_t height = orientation >= 5 ? 12 : 6;
    const auto pixels = decode(file, width, height);
    REQUIRE(pixels.is_ok());
    for (const bool bottom : {false, true}) {
      for (const bool right : {false, true}) {
        const std::size_t y = bottom ? height - 1 : 0;
        const std::size_t x = right ? width - 1 : 0;
        const int red = (*pixels)[(y * width + x) * 3];
        const auto& seen = kSeen[orientation - 1u];
        const bool expect_white = bottom == seen[0] && right == seen[1];
        CHECK(red == doctest::Approx(expect_white ? 255 : 0).epsilon(0.02));
      }
    }
  }
}

}  // namespace
}  // namespace cleave::test
