// SPDX-License-Identifier: Apache-2.0
//
// What it costs on this machine to turn a picture file into the model's input; the same measurement
// on both ends, so that the planner compares like with like.
#pragma once

#include <cstdint>
#include <vector>

#include "schemas/generated/model_generated.h"
#include "schemas/status.h"

namespace cleave {

// Slow gradients with steps, u8, of shape.height x width x channels: compresses like a photo rather
// than like noise or a flat colour. What both ends time with, so that they time the same.
[[nodiscard]] std::vector<std::uint8_t> made_up_picture(const fbs::Shape& shape);

// Median over `runs` (after a warm-up) of decoding, resizing and normalizing a JPEG of 640 x 480
// with some detail, made for the purpose, in nanoseconds. REQUIRES: runs > 0.
[[nodiscard]] Result<std::uint64_t> measure_picture_preparation_ns(
    const fbs::Preprocessing& preprocessing, const fbs::Shape& shape, unsigned runs);

}  // namespace cleave
