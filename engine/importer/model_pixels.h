// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::importer {

// The shape of the model's input. All variants of a file share it.
[[nodiscard]] const fbs::Shape& input_shape(const ModelFile& model);

// A picture file (JPEG, PNG) decoded, cropped and resized as `model` says: the u8 pixels, height x
// width x channels, that its agents start from and that normalization turns into the input.
// Errors: those of engine/image/picture.h, naming the file; kInvalidArgument for a model whose
// input is no picture.
[[nodiscard]] Result<std::vector<std::uint8_t>> model_pixels(const ModelFile& model,
                                                             const std::string& picture_path);

// The pixels of a picture with left and right exchanged. REQUIRES: as many as `shape` has elements.
[[nodiscard]] std::vector<std::uint8_t> mirrored(std::span<const std::uint8_t> pixels,
                                                 const fbs::Shape& shape);

}  // namespace cleave::importer
