// SPDX-License-Identifier: Apache-2.0
//
// What crosses at each split in each form, as a profile keeps it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/picture_source.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"

namespace cleave::agent {

// For each variant that `profile` has times of: boundary tensors as they are at every split but
// 0, whose bytes follow from the model alone; and at split 0 u8 pixels at model size. With
// pictures, the JPEG as it is at split 0: median and 95th percentile (nearest rank) of the files
// named that are one, which are counted in sample_pictures. `skipped` (may be empty) is told of
// each that cannot be read, has no room in `room_bytes` of memory, or is no picture.
void add_coded_bytes(const ModelFile& model, std::span<const std::string> pictures,
                     std::uint64_t room_bytes, const PictureSkipped& skipped, ProfileData& profile);

}  // namespace cleave::agent
