// SPDX-License-Identifier: Apache-2.0
#include "engine/image/orientation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace cleave {
namespace {

// Bounds-checked integers of a TIFF block, in the byte order that its header names.
class TiffBytes {
 public:
  static std::optional<TiffBytes> open(std::span<const std::byte> bytes) {
    if (bytes.size() < 8) return std::nullopt;
    const bool little = bytes[0] == std::byte{'I'} && bytes[1] == std::byte{'I'};
    const bool big = bytes[0] == std::byte{'M'} && bytes[1] == std::byte{'M'};
    if (!little && !big) return std::nullopt;
    TiffBytes tiff(bytes, little);
    return tiff.integer(2, 2) == 42 ? std::optional(tiff) : std::nullopt;
  }

  // `size` bytes at `offset`, or nothing when they are not all there.
  [[nodiscard]] std::optional<std::uint32_t> integer(std::size_t offset, std::size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t at = offset + (little_ ? size - 1 - i : i);
      value = (value << 8) | std::to_integer<std::uint32_t>(bytes_[at]);
    }
    return value;
  }

 private:
  TiffBytes(std::span<const std::byte> bytes, bool little) : bytes_(bytes), little_(little) {}

  std::span<const std::byte> bytes_;
  bool little_;
};

Orientation tiff_orientation(std::span<const std::byte> block) {
  constexpr std::uint32_t kOrientationTag = 274;
  constexpr std::uint32_t kShortType = 3;
  constexpr std::size_t kEntryBytes = 12;
  const auto tiff = TiffBytes::open(block);
  const auto directory = tiff ? tiff->integer(4, 4) : std::nullopt;
  const auto count = directory ? tiff->integer(*directory, 2) : std::nullopt;
  for (std::size_t i = 0; count && i < *count; ++i) {
    const std::size_t entry = std::size_t{*directory} + 2 + i * kEntryBytes;
    const auto tag = tiff->integer(entry, 2);
    if (!tag) break;
    if (*tag != kOrientationTag || tiff->integer(entry + 2, 2) != kShortType) continue;
    const std::uint32_t value = tiff->integer(entry + 8, 2).value_or(0);
    return value >= 1 && value <= 8 ? static_cast<Orientation>(value) : Orientation::kUpright;
  }
  return Orientation::kUpright;
}

bool flips_rows(Orientation orientation) {
  return orientation == Orientation::kTurn180 || orientation == Orientation::kMirrorRows ||
         orientation == Orientation::kTurn90Clockwise || orientation == Orientation::kTransverse;
}

bool flips_columns(Orientation orientation) {
  return orientation == Orientation::kMirrorColumns || orientation == Orientation::kTurn180 ||
         orientation == Orientation::kTransverse ||
         orientation == Orientation::kTurn90CounterClockwise;
}

}  // namespace

bool swaps_sides(Orientation orientation) { return orientation >= Orientation::kTranspose; }

Orientation read_exif_orientation(std::span<const std::byte> jpeg) {
  constexpr std::array<char, 6> kExif = {'E', 'x', 'i', 'f', 0, 0};
  const auto byte_at = [&](std::size_t i) { return std::to_integer<std::size_t>(jpeg[i]); };
  std::size_t at = 2;
  while (jpeg.size() >= 4 && at <= jpeg.size() - 4 && byte_at(at) == 0xFF) {
    const std::size_t marker = byte_at(at + 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    const std::size_t length = byte_at(at + 2) << 8 | byte_at(at + 3);
    const bool picture_data = marker == 0xDA;
    if (picture_data || length < 2 || length > jpeg.size() - at - 2) break;
    const auto body = jpeg.subspan(at + 4, length - 2);
    if (marker == 0xE1 && body.size() > kExif.size() &&
        std::memcmp(body.data(), kExif.data(), kExif.size()) == 0) {
      return tiff_orientation(body.subspan(kExif.size()));
    }
    at += 2 + length;
  }
  return Orientation::kUpright;
}

void turn_upright(std::span<const std::uint8_t> stored, std::uint32_t stored_width,
                  std::uint32_t stored_height, std::uint32_t channels, Orientation orientation,
                  std::span<std::uint8_t> upright) {
  const bool swaps = swaps_sides(orientation);
  const std::size_t height = swaps ? stored_width : stored_height;
  const std::size_t width = swaps ? stored_height : stored_width;
  const bool flip_rows = flips_rows(orientation);
  const bool flip_columns = flips_columns(orientation);
  std::uint8_t* out = upright.data();
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      std::size_t row = swaps ? x : y;
      std::size_t column = swaps ? y : x;
      if (flip_rows) row = stored_height - 1 - row;
      if (flip_columns) column = stored_width - 1 - column;
      const std::uint8_t* pixel = stored.data() + (row * stored_width + column) * channels;
      out = std::copy_n(pixel, channels, out);
    }
  }
}

}  // namespace cleave
