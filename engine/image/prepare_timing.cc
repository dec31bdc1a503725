// SPDX-License-Identifier: Apache-2.0
#include "engine/image/prepare_timing.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"

namespace cleave {
namespace {

constexpr std::uint32_t kWidth = 640, kHeight = 480;

// Slow gradients with steps: compresses like a photo rather than like noise or a flat colour.
std::vector<std::uint8_t> make_picture() {
  std::vector<std::uint8_t> rgb(std::size_t{kWidth} * kHeight * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) {
    rgb[i] = static_cast<std::uint8_t>((i / 7 + (i / (kWidth * 3)) * 3) % 251);
  }
  return rgb;
}

}  // namespace

Result<std::uint64_t> measure_picture_preparation_ns(const fbs::Preprocessing& preprocessing,
                                                     const fbs::Shape& shape, unsigned runs) {
  auto file = encode_jpeg(make_picture(), kWidth, kHeight, 90);
  if (!file.is_ok()) return file.status();
  std::vector<std::uint8_t> pixels(std::size_t{shape.height()} * shape.width() * shape.channels());
  std::vector<float> input(pixels.size());
  std::vector<std::uint64_t> times_ns;
  for (unsigned i = 0; i < runs + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    CLEAVE_RETURN_IF_ERROR(
        decode_to_model_size(*file, preprocessing, shape, PictureLimits{}, pixels));
    normalize(pixels, preprocessing, shape.channels(), input);
    const auto spent = std::chrono::steady_clock::now() - start;
    if (i > 0) {
      times_ns.push_back(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()));
    }
  }
  const auto middle = times_ns.begin() + static_cast<std::ptrdiff_t>(times_ns.size() / 2);
  std::ranges::nth_element(times_ns, middle);
  return *middle;
}

}  // namespace cleave
