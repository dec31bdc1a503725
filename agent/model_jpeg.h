// SPDX-License-Identifier: Apache-2.0
//
// Pictures that go as a JPEG at model size: which qualities are looked at, how many bytes they are,
// and how long making one takes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agent/codec_timing.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// Those that `profile` tries and --codec auto chooses among.
inline constexpr std::uint8_t kModelJpegQualities[] = {75, 90, 95};

// Of some pictures, in one quality.
struct ModelJpegBytes {
  std::uint8_t quality = 0;
  std::uint64_t median_bytes = 0, p95_bytes = 0;
};

// Whether a model's input can travel as one.
[[nodiscard]] bool takes_model_jpegs(const fbs::Model& model, std::uint32_t variant);

// What the JPEG of `pixels` takes; where it would be more than they, as many: then they are sent.
// REQUIRES: takes_model_jpegs(); `pixels` are of the model's input.
[[nodiscard]] std::uint64_t model_jpeg_bytes(std::span<const std::uint8_t> pixels,
                                             const fbs::Shape& shape, fbs::ColorOrder order,
                                             std::uint8_t quality);

// What encode_jpeg_into() makes of a photo of `area` pixels: the median of 150 photos of the
// ImageNet kind at 224 x 224. Objects on a plain ground take about half of it.
[[nodiscard]] std::uint64_t estimated_jpeg_bytes(std::uint64_t area, unsigned quality);

struct TimedJpeg {
  std::size_t bytes = 0;  // 0: it does not fit
  std::uint64_t encode_ns = 0;
};

// The JPEG of `pixels`, into `file`: two encodings, the faster one counts. REQUIRES: as of
// model_jpeg_bytes().
[[nodiscard]] TimedJpeg timed_jpeg(std::span<const std::uint8_t> pixels, const fbs::Shape& shape,
                                   fbs::ColorOrder order, std::uint8_t quality,
                                   std::span<std::byte> file);

// Of a made-up picture in a usual quality, for each byte of its pixels. REQUIRES:
// takes_model_jpegs(). Errors: kResourceExhausted.
[[nodiscard]] Result<EncodeRate> measure_model_jpeg_rate(const fbs::Model& model,
                                                         std::uint32_t variant);

}  // namespace cleave::agent
