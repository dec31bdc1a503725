// SPDX-License-Identifier: Apache-2.0
//
// JPEG by rows, through libjpeg-turbo's scanline interface.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "engine/image/row_source.h"

namespace cleave {

// Reads baseline, extended and progressive JPEG of 8 bits: gray (repeated to RGB), YCbCr, RGB, CMYK
// and YCCK. Fixed settings, so that every machine sees the same pixels: the accurate integer
// inverse DCT and smooth chroma upsampling. ICC profiles are ignored.
// Memory: a baseline file needs a few rows of blocks; a progressive one, or one with a scan per
// component, all its coefficients, capped by limits.max_whole_picture_bytes.
// A file that ends early or whose data has errors is kCorrupt, never a partly gray picture.
// Other errors: kUnsupported (12 bits, lossless, two components), kOutOfRange (limits).
[[nodiscard]] Result<std::unique_ptr<RowSource>> open_jpeg(std::span<const std::byte> file,
                                                           const PictureLimits& limits);

// One of exactly width x height, three components, in one scan; whatever it says of its
// orientation, it is upright. All of that is checked before memory is taken for the picture.
// Memory: a few rows of blocks. Errors: kCorrupt, kOutOfRange (another size), kUnsupported (other
// components, several scans).
[[nodiscard]] Result<std::unique_ptr<RowSource>> open_jpeg_of_size(std::span<const std::byte> file,
                                                                   std::uint32_t width,
                                                                   std::uint32_t height);

// Of one that is not decoded by rows, all its coefficients; else 0, also where its header cannot be
// read.
[[nodiscard]] std::uint64_t jpeg_whole_bytes(std::span<const std::byte> file);

}  // namespace cleave
