// SPDX-License-Identifier: Apache-2.0
//
// decode_to_model_size as its users see it: formats, order of steps, crop, limits.
#include "engine/image/picture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/engine/image/golden.h"
#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

constexpr const char* kGoldenFolder = "tests/engine/image/golden/";

Bytes rgb_png(const Pixels& pixels, std::uint32_t width, std::uint32_t height) {
  return make_png({.width = width, .height = height}, rows_of(pixels, width, 3));
}

TEST_CASE("files of every kind give the pixels that Pillow gives") {
  const TestPreprocessing gray(
      {.color_order = fbs::ColorOrder::Gray, .mean = {0}, .deviation = {1}});
  for (const FileGolden& golden : kFileGolden) {
    CAPTURE(golden.name);
    const auto file = read_picture_file(std::string(kGoldenFolder) + golden.name, {});
    REQUIRE(file.is_ok());
    const auto whole = decode(*file, 21, 18);
    REQUIRE(whole.is_ok());
    CHECK(fnv1a(*whole) == golden.rgb_hash);
    CHECK(decode(*file, 4, 3).value() == golden.rgb);
    CHECK(decode(*file, 4, 3, gray).value() == golden.gray);
  }
}

TEST_CASE("BGR is RGB with red and blue exchanged") {
  const Pixels pixels = noise(9 * 7 * 3, 41);
  const Bytes file = rgb_png(pixels, 9, 7);
  Pixels rgb = decode(file, 5, 4).value();
  const Pixels bgr =
      decode(file, 5, 4, TestPreprocessing({.color_order = fbs::ColorOrder::BGR})).value();
  for (std::size_t i = 0; i < rgb.size(); i += 3) std::swap(rgb[i], rgb[i + 2]);
  CHECK(rgb == bgr);
}

TEST_CASE("gray is the luma of BT.601") {
  const Pixels colors = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 200, 100};
  const TestPreprocessing gray(
      {.color_order = fbs::ColorOrder::Gray, .mean = {0}, .deviation = {1}});
  // 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1, 2.99 + 117.4 + 11.4 = 131.8
  CHECK(decode(rgb_png(colors, 5, 1), 5, 1, gray).value() == Pixels{76, 150, 29, 255, 132});
}

TEST_CASE("the crop is the centre square of the stated share") {
  constexpr std::uint32_t kWidth = 13;
  constexpr std::uint32_t kHeight = 8;
  const Pixels pixels = noise(kWidth * kHeight * 3, 42);
  const Bytes file = rgb_png(pixels, kWidth, kHeight);
  struct Expected {
    std::uint32_t ppm, side, left, top;
  };
  for (const Expected e : {Expected{1'000'000, 8, 2, 0},
                           {875'000, 7, 3, 0},
                           {500'000, 4, 4, 2},
                           {562'500, 5, 4, 1},
                           {562'499, 4, 4, 2},
                           {0, 1, 6, 3}}) {
    CAPTURE(e.ppm);
    const TestPreprocessing crop({.crop = fbs::Crop::CenterSquare, .crop_ppm = e.ppm});
    Pixels expected;
    for (std::uint32_t y = e.top; y < e.top + e.side; ++y) {
      const auto* row = pixels.data() + (y * kWidth + e.left) * 3;
      expected.insert(expected.end(), row, row + e.side * 3);
    }
    CHECK(decode(file, e.side, e.side, crop).value() == expected);
  }
}

TEST_CASE("the crop comes before the resize") {
  Pixels pixels(30 * 10 * 3, 200);
  for (std::size_t y = 0; y < 10; ++y) std::fill_n(pixels.begin() + 3 * (30 * y + 10), 30, 50);
  const TestPreprocessing crop({.crop = fbs::Crop::CenterSquare});
  const Pixels got = decode(rgb_png(pixels, 30, 10), 7, 7, crop).value();
  CHECK(got == Pixels(7 * 7 * 3, 50));
}

TEST_CASE("what is no picture is named as such") {
  for (const char* text :
       {"", "\xFF", "\xFF\xD8", "GIF89a......", "\x89PNG\r\n", "<html></html>"}) {
    const std::string bytes = text;
    const auto got = decode(std::as_bytes(std::span(bytes)), 2, 2);
    CHECK(code_name(got.status()) == "unsupported");
  }
}

TEST_CASE("a header that claims more than the limits is refused") {
  const Pixels pixels = noise(40 * 30 * 3, 43);
  const Bytes files[] = {rgb_png(pixels, 40, 30),
                         make_jpeg({.width = 40, .height = 30}, rows_of(pixels, 40, 3))};
  for (const Bytes& file : files) {
    const auto code_under = [&](const PictureLimits& limits) {
      return code_name(decode(file, 2, 2, TestPreprocessing(), limits).status());
    };
    CHECK(code_under({.max_pixels = 1200}) == "ok");
    CHECK(code_under({.max_pixels = 1199}) == "out of range");
    CHECK(code_under({.max_side = 40}) == "ok");
    CHECK(code_under({.max_side = 39}) == "out of range");
    CHECK(code_under({.max_file_bytes = file.size()}) == "ok");
    CHECK(code_under({.max_file_bytes = file.size() - 1}) == "out of range");
    CHECK(code_under({.max_whole_picture_bytes = 0}) == "ok");
  }
}

TEST_CASE("a target that no picture fits is the caller's mistake") {
  const Bytes file = rgb_png(noise(12, 44), 2, 2);
  const TestPreprocessing rgb;
  Pixels pixels(12);
  const auto code_for = [&](const fbs::Shape& shape) {
    return code_name(decode_to_model_size(file, rgb.get(), shape, {}, pixels));
  };
  CHECK(code_for({2, 2, 3}) == "ok");
  CHECK(code_for({2, 3, 3}) == "invalid argument");
  CHECK(code_for({4, 3, 1}) == "invalid argument");
  CHECK(code_for({0, 2, 3}) == "invalid argument");
  CHECK(code_for({2, 1u << 31, 3}) == "invalid argument");
}

TEST_CASE("a picture file is read whole, or the reason is given") {
  const auto folder = std::filesystem::temp_directory_path() / "cleave_picture_test";
  std::filesystem::create_directories(folder);
  const auto path = (folder / "bytes").string();
  const Pixels content = noise(10'000, 45);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
  const auto file = read_picture_file(path, {});
  REQUIRE(file.is_ok());
  CHECK(std::ranges::equal(*file, std::as_bytes(std::span(content))));
  CHECK(read_picture_file(path, {.max_file_bytes = 10'000}).is_ok());
  const auto code_of = [](const auto& result) { return code_name(result.status()); };
  CHECK(code_of(read_picture_file(path, {.max_file_bytes = 9'999})) == "out of range");
  CHECK(code_of(read_picture_file(path + ".absent", {})) == "not found");
  CHECK(code_of(read_picture_file(folder.string(), {})) == "input/output");
  // A file that never ends and says nothing of its size.
  CHECK(code_of(read_picture_file("/dev/zero", {.max_file_bytes = 100'000})) == "out of range");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cleave::test
