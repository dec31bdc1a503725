// SPDX-License-Identifier: Apache-2.0
#include "engine/image/png_decoder.h"

#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>

#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

constexpr std::uint32_t kPngWidth = 13;
constexpr std::uint32_t kPngHeight = 11;

// Sample `index` of a row of packed samples as PNG stores them.
unsigned sample_at(std::span<const std::uint8_t> row, std::size_t index, unsigned depth) {
  if (depth == 16) return row[2 * index] * 256u + row[2 * index + 1];
  const std::size_t bit = index * depth;
  return (row[bit / 8] >> (8 - depth - bit % 8)) & ((1u << depth) - 1);
}

struct Format {
  int color_type;
  int bit_depth;
};

constexpr Format kFormats[] = {
    {PNG_COLOR_TYPE_GRAY, 1},        {PNG_COLOR_TYPE_GRAY, 2},      {PNG_COLOR_TYPE_GRAY, 4},
    {PNG_COLOR_TYPE_GRAY, 8},        {PNG_COLOR_TYPE_GRAY, 16},     {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {PNG_COLOR_TYPE_PALETTE, 1},   {PNG_COLOR_TYPE_PALETTE, 2},
    {PNG_COLOR_TYPE_PALETTE, 4},     {PNG_COLOR_TYPE_PALETTE, 8},   {PNG_COLOR_TYPE_RGB, 8},
    {PNG_COLOR_TYPE_RGB, 16},        {PNG_COLOR_TYPE_RGB_ALPHA, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 16}};

PngSpec spec_of(const Format& format, bool interlaced) {
  PngSpec spec{.width = kPngWidth,
               .height = kPngHeight,
               .color_type = format.color_type,
               .bit_depth = format.bit_depth,
               .interlaced = interlaced};
  if (format.color_type == PNG_COLOR_TYPE_PALETTE) {
    spec.palette = noise(std::size_t{3} << format.bit_depth, 51);
  }
  return spec;
}

void draw_noise(std::uint32_t y, std::span<std::uint8_t> row) {
  const Pixels bytes = noise(row.size(), y + 1);
  std::copy(bytes.begin(), bytes.end(), row.begin());
}

// What the PNG specification says that these samples look like, alpha left out.
Pixels expected_rgb(const PngSpec& spec) {
  const auto depth = static_cast<unsigned>(spec.bit_depth);
  const bool color = (spec.color_type & PNG_COLOR_MASK_COLOR) != 0;
  const bool palette = spec.color_type == PNG_COLOR_TYPE_PALETTE;
  const std::size_t samples =
      (color && !palette ? 3u : 1u) + ((spec.color_type & PNG_COLOR_MASK_ALPHA) != 0 ? 1u : 0u);
  Pixels out;
  for (std::uint32_t y = 0; y < spec.height; ++y) {
    Pixels row((spec.width * samples * depth + 7) / 8);
    draw_noise(y, row);
    for (std::size_t x = 0; x < spec.width; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned sample = sample_at(row, x * samples + (samples >= 3 ? c : 0), depth);
        const unsigned scaled = depth == 16 ? sample >> 8 : sample * 255 / ((1u << depth) - 1);
        out.push_back(palette ? spec.palette[3 * sample + c] : static_cast<std::uint8_t>(scaled));
      }
    }
  }
  return out;
}

TEST_CASE("every color type and depth is read, interlaced or not") {
  for (const Format& format : kFormats) {
    for (const bool interlaced : {false, true}) {
      CAPTURE(format.color_type);
      CAPTURE(format.bit_depth);
      CAPTURE(interlaced);
      const PngSpec spec = spec_of(format, interlaced);
      const auto got = decode(make_png(spec, draw_noise), kPngWidth, kPngHeight);
      REQUIRE(got.is_ok());
      CHECK(*got == expected_rgb(spec));
    }
  }
}

TEST_CASE("transparent palette entries keep their color") {
  PngSpec spec = spec_of({PNG_COLOR_TYPE_PALETTE, 4}, false);
  spec.palette_alpha = noise(16, 52);
  CHECK(decode(make_png(spec, draw_noise), kPngWidth, kPngHeight).value() == expected_rgb(spec));
}

TEST_CASE("a file cut anywhere is corrupt") {
  for (const bool interlaced : {false, true}) {
    const Bytes file = make_png(spec_of({PNG_COLOR_TYPE_RGB, 8}, interlaced), draw_noise);
    for (std::size_t size = 8; size < file.size(); ++size) {
      CAPTURE(size);
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(code_name(decode(cut, 3, 3).status()) == "corrupt");
    }
  }
}

TEST_CASE("a damaged byte anywhere is noticed") {
  const Bytes file = make_png(spec_of({PNG_COLOR_TYPE_PALETTE, 8}, false), draw_noise);
  for (std::size_t at = 8; at < file.size(); ++at) {
    for (const int bit : {0, 5, 7}) {
      CAPTURE(at);
      CAPTURE(bit);
      Bytes damaged = file;
      damaged[at] ^= std::byte{1} << bit;
      REQUIRE_FALSE(decode(damaged, 3, 3).is_ok());
    }
  }
}

// The checksum of a chunk, so that a test can lie in a header and still be believed.
void seal_header(Bytes& png) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= std::to_integer<std::uint32_t>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  for (std::size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<std::byte>(~crc >> (24 - 8 * i));
}

void set_size(Bytes& png, std::uint32_t width, std::uint32_t height) {
  for (std::size_t i = 0; i < 4; ++i) {
    png[16 + i] = static_cast<std::byte>(width >> (24 - 8 * i));
    png[20 + i] = static_cast<std::byte>(height >> (24 - 8 * i));
  }
  seal_header(png);
}

TEST_CASE("a header that lies about the size costs nothing") {
  const Bytes file = make_png(spec_of({PNG_COLOR_TYPE_RGB, 16}, false), draw_noise);
  struct Lie {
    std::uint32_t width, height;
    const char* code;
  };
  for (const Lie lie : {Lie{0x7FFFFFFF, 1, "out of range"},
                        {1, 0x7FFFFFFF, "out of range"},
                        {0x7FFFFFFF, 0x7FFFFFFF, "out of range"},
                        {65'536, 1, "out of range"},
                        {10'001, 10'000, "out of range"},
                        {10'000, 10'000, "corrupt"},
                        {65'535, 1, "corrupt"},
                        {0, 5, "corrupt"},
                        {5, 0, "corrupt"},
                        {0xFFFFFFFF, 0xFFFFFFFF, "corrupt"}}) {
    CAPTURE(lie.width);
    CAPTURE(lie.height);
    Bytes lying = file;
    set_size(lying, lie.width, lie.height);
    CHECK(code_name(decode(lying, 3, 3).status()) == lie.code);
  }
}

TEST_CASE("an interlaced file is read under its own cap") {
  const Bytes file = make_png(spec_of({PNG_COLOR_TYPE_RGB, 8}, true), draw_noise);
  constexpr std::uint64_t kWhole = kPngWidth * kPngHeight * 3;
  const TestPreprocessing rgb;
  CHECK(decode(file, 3, 3, rgb, {.max_whole_picture_bytes = kWhole}).is_ok());
  const auto refused = decode(file, 3, 3, rgb, {.max_whole_picture_bytes = kWhole - 1});
  CHECK(code_name(refused.status()) == "out of range");
  CHECK(refused.status().message().find("interlaced") != std::string::npos);
}

TEST_CASE("bytes after the signature that are noise are refused") {
  const Bytes file = make_png(spec_of({PNG_COLOR_TYPE_RGB, 8}, false), draw_noise);
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    Bytes garbage(file.begin(), file.begin() + 8);
    const Pixels tail = noise(seed, seed);
    for (const std::uint8_t byte : tail) garbage.push_back(std::byte{byte});
    REQUIRE(code_name(decode(garbage, 3, 3).status()) == "corrupt");
  }
}

}  // namespace
}  // namespace cleave::test
