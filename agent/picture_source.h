// SPDX-License-Identifier: Apache-2.0
//
// The pictures named on the command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/image/picture.h"
#include "schemas/status.h"

namespace cleave::agent {

// Each argument is a file, taken as it is, or a folder, of which every .jpg, .jpeg and .png file is
// taken in name order (not recursive). Errors: kNotFound (no such path, or a folder without
// pictures), kIo.
[[nodiscard]] Result<std::vector<std::string>> list_pictures(
    std::span<const std::string> arguments);

// Told of each picture that is left out, and why; the reason names the picture.
using PictureSkipped = std::function<void(const std::string&, const Status&)>;

// read_picture_file(), of a file that takes no more than `room_bytes` of memory.
// Errors: those, and kResourceExhausted when it is the room that is too small.
[[nodiscard]] Result<std::vector<std::byte>> read_picture_within(const std::string& path,
                                                                 PictureLimits limits,
                                                                 std::uint64_t room_bytes);

}  // namespace cleave::agent
