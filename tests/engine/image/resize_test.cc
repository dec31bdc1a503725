// SPDX-License-Identifier: Apache-2.0
#include "engine/image/resize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/engine/image/golden.h"
#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

struct Case {
  PictureSize input;
  PictureSize output;
  std::uint32_t channels;
};

Pixels resize_streaming(const Case& c, const Pixels& input) {
  StreamingResizer resizer(c.input, c.output, c.channels);
  Pixels output(std::size_t{c.output.width} * c.output.height * c.channels);
  const std::size_t row_bytes = std::size_t{c.input.width} * c.channels;
  for (std::uint32_t y = 0; y < c.input.height; ++y) {
    resizer.push_row(std::span(input).subspan(y * row_bytes, row_bytes), output);
  }
  return output;
}

// The rule written down in floating point for a line of `input` values, `stride` apart.
void resize_line_plainly(const std::uint8_t* from, std::size_t input, std::uint8_t* to,
                         std::size_t output, std::size_t stride) {
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double support = std::max(1.0, scale);
  for (std::size_t j = 0; j < output; ++j) {
    const double center = (static_cast<double>(j) + 0.5) * scale;
    std::vector<double> weights(input);
    double total = 0;
    for (std::size_t i = 0; i < input; ++i) {
      const double distance = std::abs(static_cast<double>(i) + 0.5 - center);
      weights[i] = std::max(0.0, 1.0 - distance / support);
      total += weights[i];
    }
    double sum = 0;
    for (std::size_t i = 0; i < input; ++i) {
      sum += std::floor(weights[i] / total * 4194304.0 + 0.5) * from[i * stride];
    }
    const double rounded = std::floor(sum / 4194304.0 + 0.5);
    to[j * stride] = static_cast<std::uint8_t>(std::min(rounded, 255.0));
  }
}

Pixels resize_plainly(const Case& c, const Pixels& input) {
  const std::size_t input_row = std::size_t{c.input.width} * c.channels;
  const std::size_t output_row = std::size_t{c.output.width} * c.channels;
  Pixels narrow(output_row * c.input.height);
  for (std::size_t y = 0; y < c.input.height; ++y) {
    for (std::size_t k = 0; k < c.channels; ++k) {
      resize_line_plainly(&input[y * input_row + k], c.input.width, &narrow[y * output_row + k],
                          c.output.width, c.channels);
    }
  }
  Pixels output(output_row * c.output.height);
  for (std::size_t i = 0; i < output_row; ++i) {
    resize_line_plainly(&narrow[i], c.input.height, &output[i], c.output.height, output_row);
  }
  return output;
}

TEST_CASE("resize gives the pixels that Pillow gives") {
  for (const SmallResizeGolden& golden : kSmallResizeGolden) {
    CAPTURE(golden.input_width);
    CAPTURE(golden.seed);
    const Case c{{golden.input_width, golden.input_height},
                 {golden.output_width, golden.output_height},
                 golden.channels};
    const Pixels input = pattern(c.input.width, c.input.height, c.channels, golden.seed);
    CHECK(resize_streaming(c, input) == golden.pixels);
  }
  for (const ResizeGolden& golden : kResizeGolden) {
    CAPTURE(golden.input_width);
    CAPTURE(golden.input_height);
    CAPTURE(golden.output_width);
    const Case c{{golden.input_width, golden.input_height},
                 {golden.output_width, golden.output_height},
                 golden.channels};
    const Pixels input = pattern(c.input.width, c.input.height, c.channels, golden.seed);
    CHECK(fnv1a(resize_streaming(c, input)) == golden.hash);
  }
}

TEST_CASE("resizing by rows equals resizing the whole picture in floating point") {
  const Pixels sizes = noise(5 * 400, 31);
  for (std::size_t i = 0; i + 4 < sizes.size(); i += 5) {
    const auto side = [&](std::size_t k) { return 1u + sizes[i + k] / 3u; };
    const Case c{{side(0), side(1)}, {side(2), side(3)}, sizes[i + 4] % 2 == 0 ? 1u : 3u};
    const Pixels input = noise(std::size_t{c.input.width} * c.input.height * c.channels,
                               static_cast<std::uint32_t>(i));
    CAPTURE(c.input.width);
    CAPTURE(c.input.height);
    CAPTURE(c.output.width);
    CAPTURE(c.output.height);
    REQUIRE(resize_streaming(c, input) == resize_plainly(c, input));
  }
}

TEST_CASE("a picture of one value keeps it, whatever the sizes") {
  for (const std::uint8_t value : Pixels{0, 1, 127, 254, 255}) {
    for (const Case& c : {Case{{3000, 40}, {7, 3}, 1}, Case{{3, 2}, {200, 300}, 3},
                          Case{{1, 5000}, {5, 1}, 3}, Case{{65535, 1}, {1, 1}, 1}}) {
      const Pixels input(std::size_t{c.input.width} * c.input.height * c.channels, value);
      const Pixels output = resize_streaming(c, input);
      CHECK(std::count(output.begin(), output.end(), value) ==
            static_cast<std::ptrdiff_t>(output.size()));
    }
  }
}

TEST_CASE("the weights of an output pixel cover its window and add up to one") {
  for (const auto& [input, output] : {std::pair{4000u, 224u},
                                      {224u, 224u},
                                      {32u, 224u},
                                      {227u, 224u},
                                      {65535u, 1u},
                                      {1u, 65535u},
                                      {3u, 2u}}) {
    const TriangleFilter filter(input, output);
    REQUIRE(filter.output() == output);
    std::uint32_t first = 0;
    std::uint32_t end = 0;
    for (std::uint32_t j = 0; j < output; ++j) {
      const TriangleFilter::Window window = filter.window(j);
      std::int64_t total = 0;
      for (const std::uint32_t weight : window.weights) total += weight;
      const auto rounding = static_cast<std::int64_t>(window.weights.size());
      REQUIRE(std::abs(total - (std::int64_t{1} << TriangleFilter::kFractionBits)) <= rounding);
      REQUIRE(window.first >= first);
      REQUIRE(window.end() >= end);
      REQUIRE(window.first <= end);  // no input pixel is passed over
      first = window.first;
      end = window.end();
    }
    CHECK(end == input);
    CHECK(filter.window(0).first == 0);
  }
}

}  // namespace
}  // namespace cleave::test
