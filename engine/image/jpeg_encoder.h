// SPDX-License-Identifier: Apache-2.0
//
// Pixels to a baseline JPEG: what codec JpegModelSize carries, and the peer that a split is
// compared with (server only, quality 90 at model size).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// `rgb` is height x width x 3, u8, red first. `quality` is libjpeg's scale, 1..100; chroma is
// halved both ways (4:2:0), Huffman tables are the standard's, the forward DCT is the accurate
// integer one: the same pixels give the same bytes everywhere.
// Errors: kInvalidArgument (sizes disagree, a side of 0 or above 65500, quality outside 1..100).
[[nodiscard]] Result<std::vector<std::byte>> encode_jpeg(std::span<const std::uint8_t> rgb,
                                                         std::uint32_t width, std::uint32_t height,
                                                         int quality);

// The same of `pixels` in a model's color order (shape.height x shape.width x channels; gray
// becomes three equal ones), into `file`: gives its length. Takes jpeg_encoder_bytes() besides, and
// for no longer than the call. Errors: kOutOfRange (`file` is not longer than it; its content is
// then unspecified), kInvalidArgument (as above; channels other than 1 and 3).
[[nodiscard]] Result<std::size_t> encode_jpeg_into(std::span<const std::uint8_t> pixels,
                                                   const fbs::Shape& shape, fbs::ColorOrder order,
                                                   int quality, std::span<std::byte> file);

// No less than what encode_jpeg_into() takes for a picture of that width.
[[nodiscard]] std::uint64_t jpeg_encoder_bytes(std::uint32_t width);

}  // namespace cleave
