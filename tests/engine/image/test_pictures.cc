// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/image/test_pictures.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace cleave::test {

Pixels gradient(std::uint32_t width, std::uint32_t height, std::uint32_t channels) {
  Pixels pixels;
  pixels.reserve(std::size_t{width} * height * channels);
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      for (std::uint32_t c = 0; c < channels; ++c) {
        pixels.push_back(static_cast<std::uint8_t>(7 * x + 13 * y + 50 * c));
      }
    }
  }
  return pixels;
}

Pixels noise(std::size_t bytes, std::uint32_t seed) {
  Pixels pixels(bytes);
  for (std::uint8_t& value : pixels) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<std::uint8_t>(seed >> 24);
  }
  return pixels;
}

Pixels pattern(std::uint32_t width, std::uint32_t height, std::uint32_t channels,
               std::uint32_t seed) {
  return seed == 0 ? gradient(width, height, channels)
                   : noise(std::size_t{width} * height * channels, seed);
}

std::uint64_t fnv1a(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3u;
  return hash;
}

TestPreprocessing::TestPreprocessing(const Options& options) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fbs::CreatePreprocessingDirect(builder, options.color_order, options.crop,
                                                options.crop_ppm, fbs::ResizeFilter::Triangle,
                                                &options.mean, &options.deviation));
  buffer_ = builder.Release();
}

const fbs::Preprocessing& TestPreprocessing::get() const {
  return *flatbuffers::GetRoot<fbs::Preprocessing>(buffer_.data());
}

DrawRow rows_of(const Pixels& pixels, std::uint32_t width, std::uint32_t channels) {
  return [&pixels, row_bytes = std::size_t{width} * channels](std::uint32_t y,
                                                              std::span<std::uint8_t> row) {
    std::copy_n(pixels.data() + y * row_bytes, row_bytes, row.data());
  };
}

namespace {

void append(Bytes& bytes, std::uint32_t value, int size, bool big_endian) {
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (big_endian ? size - 1 - i : i);
    bytes.push_back(static_cast<std::byte>(value >> shift));
  }
}

// A TIFF block with one other tag before the orientation.
Bytes tiff_block(std::uint16_t orientation, bool big) {
  constexpr std::uint32_t kShort = 3;
  Bytes tiff;
  append(tiff, big ? 0x4D4D : 0x4949, 2, big);
  append(tiff, 42, 2, big);
  append(tiff, 8, 4, big);
  append(tiff, 2, 2, big);
  for (const auto& [tag, value] :
       std::initializer_list<std::array<std::uint32_t, 2>>{{256, 640}, {274, orientation}}) {
    append(tiff, tag, 2, big);
    append(tiff, kShort, 2, big);
    append(tiff, 1, 4, big);
    append(tiff, value, 2, big);
    append(tiff, 0, 2, big);
  }
  append(tiff, 0, 4, big);
  return tiff;
}

}  // namespace

Bytes with_exif_orientation(const Bytes& jpeg, std::uint16_t orientation, bool big_endian) {
  const Bytes tiff = tiff_block(orientation, big_endian);
  Bytes segment;
  append(segment, 0xFFE1, 2, true);
  append(segment, static_cast<std::uint32_t>(2 + 6 + tiff.size()), 2, true);
  for (const char c : {'E', 'x', 'i', 'f', '\0', '\0'}) {
    segment.push_back(static_cast<std::byte>(c));
  }
  segment.insert(segment.end(), tiff.begin(), tiff.end());
  Bytes file = jpeg;
  file.insert(file.begin() + 2, segment.begin(), segment.end());
  return file;
}

Result<Pixels> decode(std::span<const std::byte> file, std::uint32_t width, std::uint32_t height,
                      const TestPreprocessing& preprocessing, const PictureLimits& limits) {
  const bool gray = preprocessing.get().color_order() == fbs::ColorOrder::Gray;
  const std::uint32_t channels = gray ? 1 : 3;
  Pixels pixels(std::size_t{width} * height * channels);
  CLEAVE_RETURN_IF_ERROR(decode_to_model_size(file, preprocessing.get(),
                                              fbs::Shape(height, width, channels), limits, pixels));
  return pixels;
}

std::string code_name(const Status& status) { return std::string(status_code_name(status.code())); }

}  // namespace cleave::test
