// SPDX-License-Identifier: Apache-2.0
//
// The directions among a tensor's channels along which its values vary independently of each other
// (principal components), as a transform of codec Coded holds them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec/codec_factories.h"

namespace cleave::importer {

// As in CodedTransformTable, and within its bounds; the direction of the largest variance first.
struct CodedDirections {
  std::uint16_t unit = 0;  // the upper half of an f32: values so far seen fit the integers
  std::vector<std::int16_t> means = {};
  std::vector<std::int16_t> directions = {};
};

// From at least one sample of an f32 tensor of at most codec::kMaxTransformChannels channels; about
// 20,000 positions are looked at. Values that are not finite count as 0.
[[nodiscard]] CodedDirections find_directions(const codec::BoundaryTensor& tensor,
                                              std::span<const std::span<const std::byte>> samples);

}  // namespace cleave::importer
