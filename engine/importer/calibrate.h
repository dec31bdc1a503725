// SPDX-License-Identifier: Apache-2.0
//
// What the values of a network take on, found by running it in f32 over pictures.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/importer/calibration.h"
#include "schemas/status.h"

namespace cleave::importer {

// The pictures (.jpg, .jpeg, .png) of a folder in the order of their names; evenly spaced ones
// when there are more than `most`. Errors: kNotFound (no such folder), kIo, kInvalidArgument
// (holds no picture).
[[nodiscard]] Result<std::vector<std::string>> list_calibration_pictures(const std::string& folder,
                                                                         std::size_t most);

// The calibration of a lowered graph; `model_file` is its f32 model file. Without pictures the
// network runs on generated ones (smooth random fields, the same everywhere): good for seeded
// weights, a guess for trained ones. The network's input has the range of its preprocessing.
// Errors: those of reading pictures, naming the file; kUnsupported (a value that is not finite).
[[nodiscard]] Result<Calibration> calibrate(std::span<const std::byte> model_file,
                                            std::span<const std::string> pictures);

}  // namespace cleave::importer
