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

}  // namespace

std::vector<std::uint8_t> made_up_picture(const fbs::Shape& shape) {
  const std::size_t row = std::size_t{shape.width()} * shape.channels();
  std::vector<std::uint8_t> pixels(row * shape.height());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>((i / 7 + i / row * 3) % 251);
  }
  return pixels;
}

Result<std::uint64_t> measure_picture_preparation_ns(const fbs::Preprocessing& preprocessing,
                                                     const fbs::Shape& shape, unsigned runs) {
  auto file = encode_jpeg(made_up_picture({kHeight, kWidth, 3}), kWidth, kHeight, 90);
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
