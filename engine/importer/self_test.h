// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/importer/importer.h"
#include "schemas/status.h"

namespace cleave::importer {

// Runs the model whose file bytes are `model_file` on a picture (JPEG, PNG) and keeps the pixels at
// model size with the scores, for `cleave-agent doctor` to repeat on the device.
// Errors: those of decoding (engine/image/picture.h) and of the engine; kInvalidArgument for a
// model whose input is no picture or whose scores are not finite.
[[nodiscard]] Result<SelfTestPicture> make_self_test(std::span<const std::byte> model_file,
                                                     const std::string& picture_path);

}  // namespace cleave::importer
