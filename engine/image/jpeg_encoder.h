// SPDX-License-Identifier: Apache-2.0
//
// Pixels to a baseline JPEG: the peer that a split is compared with (server only, quality 90 at
// model size).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schemas/status.h"

namespace cleave {

// `rgb` is height x width x 3, u8, red first. `quality` is libjpeg's scale, 1..100; chroma is
// halved both ways (4:2:0), Huffman tables are the standard's, the forward DCT is the accurate
// integer one: the same pixels give the same bytes everywhere.
// Errors: kInvalidArgument (sizes disagree, a side of 0 or above 65500, quality outside 1..100).
[[nodiscard]] Result<std::vector<std::byte>> encode_jpeg(std::span<const std::uint8_t> rgb,
                                                         std::uint32_t width, std::uint32_t height,
                                                         int quality);

}  // namespace cleave
