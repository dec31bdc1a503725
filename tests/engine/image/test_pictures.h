// SPDX-License-Identifier: Apache-2.0
//
// Pictures and preprocessing made for the tests of engine/image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/image/picture.h"
#include "schemas/status.h"

namespace cleave::test {

using Bytes = std::vector<std::byte>;
using Pixels = std::vector<std::uint8_t>;

// Channel c of pixel (x, y) is 7x + 13y + 50c mod 256. HWC.
Pixels gradient(std::uint32_t width, std::uint32_t height, std::uint32_t channels);
// The high bytes of a linear congruential generator.
Pixels noise(std::size_t bytes, std::uint32_t seed);
// Gradient when seed is 0, else noise.
Pixels pattern(std::uint32_t width, std::uint32_t height, std::uint32_t channels,
               std::uint32_t seed);
std::uint64_t fnv1a(std::span<const std::uint8_t> bytes);

// fbs::Preprocessing as a value.
class TestPreprocessing {
 public:
  struct Options {
    fbs::ColorOrder color_order = fbs::ColorOrder::RGB;
    fbs::Crop crop = fbs::Crop::None;
    std::uint32_t crop_ppm = 1'000'000;
    std::vector<float> mean = {0, 0, 0};
    std::vector<float> deviation = {1, 1, 1};
  };
  TestPreprocessing() : TestPreprocessing(Options()) {}
  explicit TestPreprocessing(const Options& options);
  [[nodiscard]] const fbs::Preprocessing& get() const;

 private:
  flatbuffers::DetachedBuffer buffer_;
};

// What is drawn: fills row y (width * channels bytes).
using DrawRow = std::function<void(std::uint32_t y, std::span<std::uint8_t> row)>;
// Rows of `pixels`, which must outlive the result.
DrawRow rows_of(const Pixels& pixels, std::uint32_t width, std::uint32_t channels);

struct PngSpec {
  std::uint32_t width = 1;
  std::uint32_t height = 1;
  int color_type = 2;  // PNG_COLOR_TYPE_RGB
  int bit_depth = 8;
  bool interlaced = false;
  std::vector<std::uint8_t> palette = {};        // RGB triples
  std::vector<std::uint8_t> palette_alpha = {};  // tRNS
};
// `draw` fills rows as PNG stores them: samples of bit_depth, big endian, packed.
Bytes make_png(const PngSpec& spec, const DrawRow& draw);

struct JpegSpec {
  std::uint32_t width = 1;
  std::uint32_t height = 1;
  int channels = 3;  // 1 gray, 3 RGB, 4 inverted CMYK
  bool progressive = false;
  bool scan_per_component = false;
  int restart_rows = 0;
  int quality = 90;
};
Bytes make_jpeg(const JpegSpec& spec, const DrawRow& draw);

// `jpeg` with an Exif segment that says `orientation`, in big or little endian.
Bytes with_exif_orientation(const Bytes& jpeg, std::uint16_t orientation, bool big_endian);

// decode_to_model_size into a vector.
Result<Pixels> decode(std::span<const std::byte> file, std::uint32_t width, std::uint32_t height,
                      const TestPreprocessing& preprocessing = TestPreprocessing(),
                      const PictureLimits& limits = {});

// "corrupt", "ok", ...: what a failed check prints.
std::string code_name(const Status& status);

}  // namespace cleave::test
