// SPDX-License-Identifier: Apache-2.0
//
// Decoding a large photo takes a few rows of memory. Measured from outside: growth of the peak
// resident set of a child process that does nothing else.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>

#include "engine/image/jpeg_encoder.h"
#include "engine/tensor.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/support/sanitized.h"

namespace cleave::test {
namespace {

// A sanitizer's shadow memory counts as well.
constexpr bool kResidentSetIsOurs = !kSanitized;

constexpr std::uint32_t kPictureWidth = 4000;
constexpr std::uint32_t kPictureHeight = 3000;
constexpr long kBudgetKib = 4 * 1024;
// The kernel adds up what a process has in batches of 32 pages and more a CPU and kind of memory.
constexpr long kJpegSpareKib = 384;

// A line "VmHWM:   1234 kB" of /proc/self/status.
long status_kib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::stol(line.substr(field.size() + 1));
  }
  return 0;
}

// Does `work` in a child, after `prepare`, which does not count; its growth in KiB, or nothing when
// it gave false.
template <typename Work, typename Prepare>
std::optional<long> peak_growth_of(const Work& work, const Prepare& prepare) {
  malloc_trim(0);  // what the parent has freed must not serve the child unseen
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    prepare();
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew at what there is now
    const long before = status_kib("VmHWM");
    const bool done = work();
    const long growth = done ? status_kib("VmHWM") - before : -1;
    const bool sent = write(ends[1], &growth, sizeof(growth)) == sizeof(growth);
    _exit(sent ? 0 : 1);
  }
  close(ends[1]);
  long growth = -1;
  const bool received = read(ends[0], &growth, sizeof(growth)) == sizeof(growth);
  close(ends[0]);
  int exit_status = 0;
  REQUIRE(waitpid(child, &exit_status, 0) == child);
  return received && growth >= 0 ? std::optional(growth) : std::nullopt;
}

// Decodes in a child; its growth in KiB, or nothing when it could not decode.
std::optional<long> peak_growth_kib(const Bytes& file) {
  return peak_growth_of([&] { return decode(file, 224, 224).is_ok(); }, [] {});
}

// Textured, so that the file has the size of a real photo's.
void draw_texture(std::uint32_t y, std::span<std::uint8_t> row) {
  std::uint32_t state = y;
  for (std::size_t i = 0; i < row.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    row[i] = static_cast<std::uint8_t>(y / 16 + i / 48 + (state >> 27));
  }
}

TEST_CASE("a 12-megapixel photo is decoded in a few rows of memory") {
  if (!kResidentSetIsOurs) {
    std::printf("skipped: under a sanitizer the resident set is not ours alone\n");
    return;
  }
  JpegSpec spec{.width = kPictureWidth, .height = kPictureHeight, .quality = 80};
  const Bytes jpeg = make_jpeg(spec, draw_texture);
  const Bytes png = make_png({.width = kPictureWidth, .height = kPictureHeight}, draw_texture);
  spec.progressive = true;
  const Bytes progressive = make_jpeg(spec, draw_texture);

  const auto jpeg_growth = peak_growth_kib(jpeg);
  const auto png_growth = peak_growth_kib(png);
  const auto progressive_growth = peak_growth_kib(progressive);
  REQUIRE(jpeg_growth.has_value());
  REQUIRE(png_growth.has_value());
  REQUIRE(progressive_growth.has_value());
  std::printf("peak growth for %u x %u: JPEG %ld KiB, PNG %ld KiB, progressive JPEG %ld KiB\n",
              kPictureWidth, kPictureHeight, *jpeg_growth, *png_growth, *progressive_growth);
  CHECK(*jpeg_growth < kBudgetKib);
  CHECK(*png_growth < kBudgetKib);
  // It has to hold 36 MB of coefficients: what shows that the measurement sees memory at all.
  CHECK(*progressive_growth > 30 * 1024);
}

TEST_CASE("a small file that unpacks to a large picture takes a few rows of memory") {
  if (!kResidentSetIsOurs) return;
  constexpr std::uint32_t kSide = 6000;
  const auto draw_black = [](std::uint32_t, std::span<std::uint8_t>) {};
  const Bytes bomb = make_png({.width = kSide, .height = kSide, .bit_depth = 16}, draw_black);
  CHECK(bomb.size() * 100 < std::size_t{kSide} * kSide * 6);
  const auto growth = peak_growth_kib(bomb);
  REQUIRE(growth.has_value());
  std::printf("peak growth for %zu bytes that unpack to %u x %u: %ld KiB\n", bomb.size(), kSide,
              kSide, *growth);
  CHECK(*growth < kBudgetKib);
}

TEST_CASE("a JPEG at model size takes no more to make than is said") {
  if (!kResidentSetIsOurs) return;
  const auto make = [](const Pixels& pixels, const fbs::Shape& shape, Bytes& file) {
    const auto made = encode_jpeg_into(pixels, shape, fbs::ColorOrder::RGB, 90, file);
    return made.is_ok() && *made > 0;
  };
  for (const std::uint32_t width : {224U, 16'384U}) {
    CAPTURE(width);
    const fbs::Shape shape(64, width, 3);
    const Pixels pixels = noise(element_count(shape), 3);
    Bytes file(2 * pixels.size(), std::byte{1});  // touched: resident before
    const auto work = [&] { return make(pixels, shape, file); };
    const auto growth = peak_growth_of(work, work);  // the first time its code counts as well
    REQUIRE(growth.has_value());
    const auto said = static_cast<long>(jpeg_encoder_bytes(width) / 1024);
    std::printf("peak growth for a JPEG of %u x 64: %ld KiB, said are %ld\n", width, *growth, said);
    CHECK(*growth <= said + kJpegSpareKib);
  }
}

TEST_CASE("what a picture that is decoded whole takes is known from its header, to the byte") {
  const auto draw = [](std::uint32_t y, std::span<std::uint8_t> row) {
    std::ranges::fill(row, static_cast<std::uint8_t>(y));
  };
  JpegSpec jpeg{.width = 77, .height = 50};
  PngSpec png{.width = 77, .height = 50};
  CHECK(whole_picture_bytes(make_jpeg(jpeg, draw)) == 0);
  CHECK(whole_picture_bytes(make_png(png, draw)) == 0);
  jpeg.progressive = png.interlaced = true;
  CHECK(whole_picture_bytes(make_png(png, draw)) == 77 * 50 * 3);
  for (const Bytes& file : {make_jpeg(jpeg, draw), make_png(png, draw)}) {
    PictureLimits limits;
    limits.max_whole_picture_bytes = whole_picture_bytes(file);
    CHECK(limits.max_whole_picture_bytes > 0);
    CHECK(decode(file, 8, 8, TestPreprocessing(), limits).is_ok());
    --limits.max_whole_picture_bytes;
    CHECK(decode(file, 8, 8, TestPreprocessing(), limits).status().code() ==
          StatusCode::kOutOfRange);
    CHECK(whole_picture_bytes(std::span(file).first(20)) == 0);
    CHECK(whole_picture_bytes(std::span(file).first(0)) == 0);
  }
}

}  // namespace
}  // namespace cleave::test
