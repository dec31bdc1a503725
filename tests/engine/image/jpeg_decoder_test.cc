// SPDX-License-Identifier: Apache-2.0
#include "engine/image/jpeg_decoder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "engine/image/jpeg_encoder.h"
#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

constexpr std::uint32_t kWidth = 37;
constexpr std::uint32_t kHeight = 29;

// Smooth: what JPEG keeps well.
void draw_slope(std::uint32_t y, std::span<std::uint8_t> row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    row[i] = static_cast<std::uint8_t>(40 + 2 * y + i);
  }
}

Pixels slope(std::uint32_t channels) {
  Pixels pixels(kWidth * kHeight * channels);
  for (std::uint32_t y = 0; y < kHeight; ++y) {
    draw_slope(y, std::span(pixels).subspan(y * kWidth * channels, kWidth * channels));
  }
  return pixels;
}

int largest_difference(const Pixels& a, const Pixels& b) {
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

JpegSpec slope_spec() { return {.width = kWidth, .height = kHeight, .quality = 95}; }

TEST_CASE("the same picture is seen whatever the order of its scans") {
  const Pixels baseline = decode(make_jpeg(slope_spec(), draw_slope), kWidth, kHeight).value();
  CHECK(largest_difference(baseline, slope(3)) <= 6);
  JpegSpec spec = slope_spec();
  spec.restart_rows = 1;
  CHECK(decode(make_jpeg(spec, draw_slope), kWidth, kHeight).value() == baseline);
  spec.progressive = true;
  CHECK(decode(make_jpeg(spec, draw_slope), kWidth, kHeight).value() == baseline);
  spec.progressive = false;
  spec.scan_per_component = true;
  CHECK(decode(make_jpeg(spec, draw_slope), kWidth, kHeight).value() == baseline);
}

TEST_CASE("gray is repeated in the three channels") {
  JpegSpec spec = slope_spec();
  spec.channels = 1;
  const Pixels got = decode(make_jpeg(spec, draw_slope), kWidth, kHeight).value();
  const Pixels drawn = slope(1);
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    REQUIRE(std::abs(got[3 * i] - drawn[i]) <= 3);
    REQUIRE(got[3 * i] == got[3 * i + 1]);
    REQUIRE(got[3 * i] == got[3 * i + 2]);
  }
}

TEST_CASE("CMYK is ink over white") {
  struct Ink {
    Pixels inverted_cmyk, rgb;
  };
  for (const Ink& ink :
       {Ink{{255, 255, 255, 255}, {255, 255, 255}}, Ink{{0, 255, 255, 255}, {0, 255, 255}},
        Ink{{255, 255, 255, 0}, {0, 0, 0}}, Ink{{200, 100, 50, 128}, {100, 50, 25}}}) {
    JpegSpec spec = slope_spec();
    spec.channels = 4;
    const Bytes file = make_jpeg(spec, [&](std::uint32_t, std::span<std::uint8_t> row) {
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = ink.inverted_cmyk[i % 4];
    });
    const Pixels got = decode(file, 1, 1).value();
    CHECK(largest_difference(got, ink.rgb) <= 2);
  }
}

TEST_CASE("a file cut anywhere is corrupt, never partly gray") {
  for (const bool progressive : {false, true}) {
    JpegSpec spec = slope_spec();
    spec.progressive = progressive;
    spec.restart_rows = progressive ? 0 : 1;
    const Bytes file = make_jpeg(spec, draw_slope);
    for (std::size_t size = 3; size < file.size(); ++size) {
      CAPTURE(size);
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(code_name(decode(cut, 3, 3).status()) == "corrupt");
    }
    CHECK(decode(file, 3, 3).is_ok());
  }
}

TEST_CASE("a file cut below the crop is corrupt too") {
  const Bytes file = make_jpeg({.width = 16, .height = 400}, draw_slope);
  const Bytes cut(file.begin(), file.end() - 20);
  const TestPreprocessing crop({.crop = fbs::Crop::CenterSquare});
  CHECK(decode(file, 3, 3, crop).is_ok());
  CHECK(code_name(decode(cut, 3, 3, crop).status()) == "corrupt");
}

TEST_CASE("damaged bytes give a picture or an error, and nothing else") {
  for (const bool progressive : {false, true}) {
    JpegSpec spec = slope_spec();
    spec.progressive = progressive;
    const Bytes file = make_jpeg(spec, draw_slope);
    int refused = 0;
    for (std::size_t at = 2; at < file.size(); ++at) {
      for (const int value : {0x00, 0x01, 0x80, 0xFF}) {
        Bytes damaged = file;
        damaged[at] ^= static_cast<std::byte>(value);
        const auto got = decode(damaged, 5, 4, TestPreprocessing(), {.max_pixels = 1'000'000});
        if (!got.is_ok()) ++refused;
        CHECK(got.status().code() != StatusCode::kInternal);
      }
    }
    CHECK(refused > static_cast<int>(file.size() / 4));
  }
}

std::size_t find_marker(const Bytes& file, int marker, std::size_t from = 2) {
  const auto is_marker = [&](std::size_t i) {
    return file[i] == std::byte{0xFF} && file[i + 1] == static_cast<std::byte>(marker);
  };
  while (from + 1 < file.size() && !is_marker(from)) ++from;
  return from;
}

TEST_CASE("a header that lies about the size is refused") {
  for (const bool progressive : {false, true}) {
    JpegSpec spec = slope_spec();
    spec.progressive = progressive;
    Bytes file = make_jpeg(spec, draw_slope);
    const std::size_t frame = find_marker(file, progressive ? 0xC2 : 0xC0);
    const auto set_sides = [&](int high_byte, int low_byte) {
      file[frame + 5] = file[frame + 7] = static_cast<std::byte>(high_byte);
      file[frame + 6] = file[frame + 8] = static_cast<std::byte>(low_byte);
    };
    set_sides(0xFF, 0xDC);  // 65500, the format's own limit in libjpeg
    CHECK(code_name(decode(file, 3, 3).status()) == "out of range");
    set_sides(0xFF, 0xFF);
    CHECK(code_name(decode(file, 3, 3).status()) == "out of range");
    set_sides(0, 0);
    CHECK(code_name(decode(file, 3, 3).status()) == "corrupt");
    set_sides(0x1F, 0x40);  // 8000: within the limits, but the data is not there
    const char* code = progressive ? "out of range" : "corrupt";
    CHECK(code_name(decode(file, 3, 3).status()) == code);
  }
}

TEST_CASE("kinds of JPEG that are not read are named") {
  Bytes file = make_jpeg(slope_spec(), draw_slope);
  const std::size_t frame = find_marker(file, 0xC0);
  Bytes lossless = file;
  lossless[frame + 1] = std::byte{0xC3};
  CHECK(code_name(decode(lossless, 3, 3).status()) == "unsupported");
  Bytes twelve_bits = file;
  twelve_bits[frame + 4] = std::byte{12};
  CHECK(code_name(decode(twelve_bits, 3, 3).status()) == "unsupported");
}

TEST_CASE("what has to be held whole is read under its own cap") {
  JpegSpec spec = slope_spec();
  const TestPreprocessing rgb;
  for (const bool progressive : {false, true}) {
    spec.progressive = progressive;
    spec.scan_per_component = !progressive;
    const Bytes file = make_jpeg(spec, draw_slope);
    // 5 x 4 blocks of luma, 3 x 2 of each chroma at 4:2:0, 128 bytes of coefficients a block.
    constexpr std::uint64_t kWhole = (5 * 4 + 2 * 3 * 2) * 128;
    CHECK(decode(file, 3, 3, rgb, {.max_whole_picture_bytes = kWhole}).is_ok());
    const auto refused = decode(file, 3, 3, rgb, {.max_whole_picture_bytes = kWhole - 1});
    CHECK(code_name(refused.status()) == "out of range");
  }
}

// Every scan walks the whole picture, so a small file could ask for a lot of time.
TEST_CASE("a file of very many scans is refused") {
  JpegSpec spec = slope_spec();
  spec.progressive = true;
  const Bytes file = make_jpeg(spec, draw_slope);
  const std::size_t scan = find_marker(file, 0xDA);
  const std::size_t next = find_marker(file, 0xC4, scan + 2);
  const auto repeated = [&](int times) {
    Bytes out(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(scan));
    for (int i = 0; i < times; ++i) {
      out.insert(out.end(), file.begin() + static_cast<std::ptrdiff_t>(scan),
                 file.begin() + static_cast<std::ptrdiff_t>(next));
    }
    out.insert(out.end(), file.begin() + static_cast<std::ptrdiff_t>(next), file.end());
    return out;
  };
  CHECK(decode(repeated(10), 3, 3).value() == decode(file, 3, 3).value());
  const auto refused = decode(repeated(200), 3, 3);
  CHECK(code_name(refused.status()) == "corrupt");
  CHECK(refused.status().message().find("scans") != std::string::npos);
}

TEST_CASE("bytes between segments, which some cameras leave, do no harm") {
  const Bytes file = make_jpeg(slope_spec(), draw_slope);
  Bytes padded = file;
  padded.insert(padded.begin() + static_cast<std::ptrdiff_t>(find_marker(file, 0xDB)), 7,
                std::byte{0});
  CHECK(decode(padded, 3, 3).value() == decode(file, 3, 3).value());
}

TEST_CASE("encode_jpeg writes what libjpeg writes at that quality") {
  const Pixels pixels = slope(3);
  for (const int quality : {50, 90}) {
    JpegSpec spec = slope_spec();
    spec.quality = quality;
    const auto file = encode_jpeg(pixels, kWidth, kHeight, quality);
    REQUIRE(file.is_ok());
    CHECK(*file == make_jpeg(spec, draw_slope));
  }
  CHECK(encode_jpeg(pixels, kWidth, kHeight, 10)->size() <
        encode_jpeg(pixels, kWidth, kHeight, 90)->size());
}

TEST_CASE("encode_jpeg refuses sizes and qualities that make no sense") {
  const Pixels pixels(12);
  const auto code_for = [&](std::uint32_t width, std::uint32_t height, int quality) {
    return code_name(encode_jpeg(pixels, width, height, quality).status());
  };
  CHECK(code_for(2, 2, 90) == "ok");
  CHECK(code_for(2, 1, 90) == "invalid argument");
  CHECK(code_for(0, 2, 90) == "invalid argument");
  CHECK(code_for(1u << 31, 1u << 31, 90) == "invalid argument");
  CHECK(code_for(2, 2, 0) == "invalid argument");
  CHECK(code_for(2, 2, 101) == "invalid argument");
}

}  // namespace
}  // namespace cleave::test
