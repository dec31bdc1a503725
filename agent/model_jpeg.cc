// SPDX-License-Identifier: Apache-2.0
#include "agent/model_jpeg.h"

#include <algorithm>
#include <chrono>

#include "engine/aligned_buffer.h"
#include "engine/cuts.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "engine/image/prepare_timing.h"

namespace cleave::agent {
namespace {

constexpr std::uint32_t kMostJpegSide = 65'500;  // what the format has room for
constexpr int kTimedQuality = 90;

const fbs::Shape& input_of(const fbs::Model& model, std::uint32_t variant) {
  const fbs::Variant& header = *model.variants()->Get(variant);
  return *header.tensors()->Get(header.input())->shape();
}

}  // namespace

bool takes_model_jpegs(const fbs::Model& model, std::uint32_t variant) {
  const fbs::Shape& shape = input_of(model, variant);
  return takes_pictures(*model.preprocessing(), shape) && shape.width() <= kMostJpegSide &&
         shape.height() <= kMostJpegSide;
}

std::uint64_t model_jpeg_bytes(std::span<const std::uint8_t> pixels, const fbs::Shape& shape,
                               fbs::ColorOrder order, std::uint8_t quality) {
  std::vector<std::byte> file(pixels.size());
  const auto bytes = encode_jpeg_into(pixels, shape, order, quality, file);
  return bytes.is_ok() ? *bytes : pixels.size();
}

std::uint64_t estimated_jpeg_bytes(std::uint64_t area, unsigned quality) {
  struct Seen {
    unsigned quality;
    double bits_per_pixel;
  };
  static constexpr Seen kSeen[] = {{1, 0.27}, {25, 0.75}, {50, 1.1}, {75, 1.6},
                                   {90, 2.6}, {95, 3.7},  {100, 7.1}};
  const auto* above = std::ranges::lower_bound(kSeen, quality, {}, &Seen::quality);
  if (above == std::end(kSeen)) --above;
  const Seen& below = above == std::begin(kSeen) ? *above : *(above - 1);
  double bits = above->bits_per_pixel;
  if (quality < above->quality && below.quality < above->quality) {
    bits -= (above->bits_per_pixel - below.bits_per_pixel) * (above->quality - quality) /
            (above->quality - below.quality);
  }
  return static_cast<std::uint64_t>(static_cast<double>(area) * bits / 8);
}

TimedJpeg timed_jpeg(std::span<const std::uint8_t> pixels, const fbs::Shape& shape,
                     fbs::ColorOrder order, std::uint8_t quality, std::span<std::byte> file) {
  TimedJpeg timed{.bytes = 0, .encode_ns = UINT64_MAX};
  for (int run = 0; run < 2; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const auto bytes = encode_jpeg_into(pixels, shape, order, quality, file);
    const std::chrono::nanoseconds spent = std::chrono::steady_clock::now() - start;
    timed.encode_ns = std::min(
        timed.encode_ns, std::max<std::uint64_t>(static_cast<std::uint64_t>(spent.count()), 1));
    timed.bytes = bytes.is_ok() ? *bytes : 0;
  }
  return timed;
}

Result<EncodeRate> measure_model_jpeg_rate(const fbs::Model& model, std::uint32_t variant) {
  const fbs::Shape& shape = input_of(model, variant);
  const std::vector<std::uint8_t> pixels = made_up_picture(shape);
  AlignedBuffer file(pixels.size());
  if (file.data() == nullptr) {
    return Status(StatusCode::kResourceExhausted, "no memory for timing a JPEG");
  }
  // Of a small picture it may not fit: the time is about the same.
  const TimedJpeg timed = timed_jpeg(pixels, shape, model.preprocessing()->color_order(),
                                     kTimedQuality, {file.data(), file.capacity()});
  return EncodeRate{.ns = timed.encode_ns, .tensor_bytes = pixels.size()};
}

}  // namespace cleave::agent
