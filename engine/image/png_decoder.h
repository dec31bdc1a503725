// SPDX-License-Identifier: Apache-2.0
//
// PNG by rows, through libpng's row interface.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "engine/image/row_source.h"

namespace cleave {

// Reads every color type and depth of the PNG specification as 8-bit RGB: palettes are looked up,
// gray is repeated, 1, 2 and 4 bits are scaled to 0..255, of 16 bits the high byte is kept, alpha
// and transparent colors are dropped without compositing. Gamma and color profiles are ignored.
// (What the reference's Pillow gives for convert('RGB'), except 16-bit gray, which it saturates.)
// Memory: a few rows; an interlaced file needs the whole picture as RGB, capped by
// limits.max_whole_picture_bytes.
// A file that ends early or fails a checksum is kCorrupt. Other errors: kOutOfRange (limits).
[[nodiscard]] Result<std::unique_ptr<RowSource>> open_png(std::span<const std::byte> file,
                                                          const PictureLimits& limits);

// Of an interlaced one, all its pixels; else 0, also where its header cannot be read.
[[nodiscard]] std::uint64_t png_whole_bytes(std::span<const std::byte> file);

}  // namespace cleave
