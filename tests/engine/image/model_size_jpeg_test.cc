// SPDX-License-Identifier: Apache-2.0
//
// Pictures that travel as a JPEG at model size: made of the model's pixels, and read back as they
// are.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "engine/image/jpeg_encoder.h"
#include "engine/tensor.h"
#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

constexpr std::uint32_t kSide = 48;

fbs::Shape shape_of(fbs::ColorOrder order) {
  return {kSide, kSide + 16, order == fbs::ColorOrder::Gray ? 1U : 3U};
}

// Slow waves, as a photo has them, of `order`.
Pixels waves(fbs::ColorOrder order) {
  const fbs::Shape shape = shape_of(order);
  Pixels pixels(element_count(shape));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t channel = i % shape.channels(), pixel = i / shape.channels();
    const std::size_t x = pixel % shape.width(), y = pixel / shape.width();
    pixels[i] = static_cast<std::uint8_t>(40 + x + channel * 60 + (y % 8));
  }
  return pixels;
}

TestPreprocessing::Options of_order(fbs::ColorOrder order) {
  TestPreprocessing::Options options;
  options.color_order = order;
  options.crop = fbs::Crop::CenterSquare;
  options.crop_ppm = 500'000;  // of what is at model size already nothing is cut off
  return options;
}

Result<Pixels> read_back(std::span<const std::byte> file, const fbs::Preprocessing& preprocessing,
                         const fbs::Shape& shape) {
  Pixels pixels(element_count(shape));
  CLEAVE_RETURN_IF_ERROR(decode_at_model_size(file, preprocessing, shape, pixels));
  return pixels;
}

Bytes encoded(const Pixels& pixels, const fbs::Shape& shape, fbs::ColorOrder order, int quality) {
  Bytes file(pixels.size());
  const auto bytes = encode_jpeg_into(pixels, shape, order, quality, file);
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  file.resize(*bytes);
  return file;
}

int furthest(const Pixels& a, const Pixels& b) {
  int off = 0;
  for (std::size_t i = 0; i < a.size(); ++i) off = std::max(off, std::abs(a[i] - b[i]));
  return off;
}

}  // namespace

TEST_CASE("in each color order what is sent comes back near, neither cropped nor resized") {
  for (const auto order : {fbs::ColorOrder::RGB, fbs::ColorOrder::BGR, fbs::ColorOrder::Gray}) {
    CAPTURE(static_cast<int>(order));
    const TestPreprocessing preprocessing(of_order(order));
    const fbs::Shape shape = shape_of(order);
    const Pixels sent = waves(order);
    const Bytes file = encoded(sent, shape, order, 95);
    const auto arrived = read_back(file, preprocessing.get(), shape);
    REQUIRE_MESSAGE(arrived.is_ok(), arrived.status().message());
    const auto coarse = read_back(encoded(sent, shape, order, 5), preprocessing.get(), shape);
    REQUIRE_MESSAGE(coarse.is_ok(), coarse.status().message());
    CHECK(furthest(*coarse, sent) > 0);
    CHECK(furthest(*arrived, sent) <= 24);
    CHECK(encoded(sent, shape, order, 95) == file);
    CHECK(encoded(sent, shape, order, 30).size() < file.size());
  }
}

TEST_CASE("what encode_jpeg_into writes is what encode_jpeg does, of any color order") {
  const Pixels rgb = waves(fbs::ColorOrder::RGB);
  Pixels bgr = rgb;
  for (std::size_t i = 0; i < bgr.size(); i += 3) std::swap(bgr[i], bgr[i + 2]);
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const auto whole = encode_jpeg(rgb, shape.width(), shape.height(), 80);
  REQUIRE(whole.is_ok());
  CHECK(encoded(rgb, shape, fbs::ColorOrder::RGB, 80) == *whole);
  CHECK(encoded(bgr, shape, fbs::ColorOrder::BGR, 80) == *whole);
}

TEST_CASE("a JPEG that does not fit is given up, and nothing is written behind the room for it") {
  const Pixels pixels = waves(fbs::ColorOrder::RGB);
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const std::size_t most = encoded(pixels, shape, fbs::ColorOrder::RGB, 90).size();
  Bytes room(most + 2, std::byte{0xEE});
  for (const std::size_t bytes : {most, most - 1, most / 2, std::size_t{1}, std::size_t{0}}) {
    CAPTURE(bytes);
    const auto made =
        encode_jpeg_into(pixels, shape, fbs::ColorOrder::RGB, 90, std::span(room).first(bytes));
    CHECK(code_name(made.status()) == "out of range");
    CHECK(room[bytes] == std::byte{0xEE});
    std::ranges::fill(room, std::byte{0xEE});
  }
  // It must be longer, if only by a byte.
  const auto fits =
      encode_jpeg_into(pixels, shape, fbs::ColorOrder::RGB, 90, std::span(room).first(most + 1));
  REQUIRE(fits.is_ok());
  CHECK(*fits == most);
  CHECK(room[most + 1] == std::byte{0xEE});
  for (const int quality : {0, 101}) {
    const auto refused = encode_jpeg_into(pixels, shape, fbs::ColorOrder::RGB, quality, room);
    CHECK(code_name(refused.status()) == "invalid argument");
  }
  const auto short_pixels =
      encode_jpeg_into(std::span(pixels).first(9), shape, fbs::ColorOrder::RGB, 90, room);
  CHECK(code_name(short_pixels.status()) == "invalid argument");
}

TEST_CASE("another size, other components or several scans are refused by the header") {
  const TestPreprocessing preprocessing;
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const auto code_for = [&](const JpegSpec& spec) {
    const Pixels pixels =
        noise(std::size_t{spec.width} * spec.height * static_cast<std::size_t>(spec.channels), 5);
    const Bytes file =
        make_jpeg(spec, rows_of(pixels, spec.width, static_cast<std::uint32_t>(spec.channels)));
    return code_name(read_back(file, preprocessing.get(), shape).status());
  };
  const JpegSpec right{.width = shape.width(), .height = shape.height()};
  CHECK(code_for(right) == "ok");
  JpegSpec spec = right;
  spec.width += 1;
  CHECK(code_for(spec) == "out of range");
  spec = right;
  spec.height -= 1;
  CHECK(code_for(spec) == "out of range");
  spec.width = right.height;
  spec.height = right.width;
  CHECK(code_for(spec) == "out of range");
  spec = right;
  spec.channels = 1;
  CHECK(code_for(spec) == "unsupported");
  spec.channels = 4;
  CHECK(code_for(spec) == "unsupported");
  spec = right;
  spec.progressive = true;
  CHECK(code_for(spec) == "unsupported");
  spec = right;
  spec.scan_per_component = true;
  CHECK(code_for(spec) == "unsupported");
}

TEST_CASE("its own orientation is not followed") {
  const TestPreprocessing preprocessing;
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const Bytes file = encoded(waves(fbs::ColorOrder::RGB), shape, fbs::ColorOrder::RGB, 90);
  const auto upright = read_back(file, preprocessing.get(), shape);
  REQUIRE(upright.is_ok());
  for (const std::uint16_t orientation : {std::uint16_t{3}, std::uint16_t{6}}) {
    const auto turned =
        read_back(with_exif_orientation(file, orientation, true), preprocessing.get(), shape);
    REQUIRE_MESSAGE(turned.is_ok(), turned.status().message());
    CHECK(*turned == *upright);
  }
}

TEST_CASE("cut off anywhere, or with any byte changed, it is an error or a picture of that size") {
  const TestPreprocessing preprocessing;
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const Bytes file = encoded(waves(fbs::ColorOrder::RGB), shape, fbs::ColorOrder::RGB, 60);
  // The two bytes of the end marker alone are missed by nobody.
  for (std::size_t bytes = 0; bytes + 2 < file.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK_FALSE(read_back(std::span(file).first(bytes), preprocessing.get(), shape).is_ok());
  }
  std::size_t refused = 0;
  for (std::size_t i = 0; i < file.size(); ++i) {
    Bytes damaged = file;
    damaged[i] ^= std::byte{0xFF};
    const auto pixels = read_back(damaged, preprocessing.get(), shape);
    refused += pixels.is_ok() ? 0 : 1;
  }
  CHECK(refused > 0);
}

TEST_CASE("a model whose input is no picture takes none") {
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const Bytes file = encoded(waves(fbs::ColorOrder::RGB), shape, fbs::ColorOrder::RGB, 60);
  const TestPreprocessing none(of_order(fbs::ColorOrder::None));
  CHECK_FALSE(takes_pictures(none.get(), shape));
  CHECK(code_name(read_back(file, none.get(), shape).status()) == "invalid argument");
  const TestPreprocessing rgb;
  CHECK(takes_pictures(rgb.get(), shape));
  CHECK_FALSE(takes_pictures(rgb.get(), {kSide, kSide, 4}));
  CHECK_FALSE(takes_pictures(rgb.get(), {0, kSide, 3}));
}

TEST_CASE("libpng's pictures are none of these") {
  const TestPreprocessing preprocessing;
  const fbs::Shape shape = shape_of(fbs::ColorOrder::RGB);
  const Pixels pixels = waves(fbs::ColorOrder::RGB);
  const Bytes png = make_png({.width = shape.width(), .height = shape.height()},
                             rows_of(pixels, shape.width(), 3));
  CHECK(code_name(read_back(png, preprocessing.get(), shape).status()) == "corrupt");
}

}  // namespace cleave::test
