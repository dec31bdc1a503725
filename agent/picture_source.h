// SPDX-License-Identifier: Apache-2.0
//
// The pictures named on the command line.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::agent {

// Each argument is a file, taken as it is, or a folder, of which every .jpg, .jpeg and .png file is
// taken in name order (not recursive). Errors: kNotFound (no such path, or a folder without
// pictures), kIo.
[[nodiscard]] Result<std::vector<std::string>> list_pictures(
    std::span<const std::string> arguments);

}  // namespace cleave::agent
