// SPDX-License-Identifier: Apache-2.0
//
// What fuzz_codec decodes, for it and for those who make its seeds.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"

namespace cleave::fuzz {

using codec::Boundary;
using codec::CodedQuality;

// Two f32 tensors and an int8 one: with several ranges and with one, of several rows and of one.
inline const Boundary kBoundary = {
    {.dtype = fbs::DType::F32, .positions = 63, .width = 9, .channels = 5},
    {.dtype = fbs::DType::S8, .zero_point = -7, .positions = 20, .width = 4, .channels = 3},
    {.dtype = fbs::DType::F32, .positions = 1, .width = 1, .channels = 40}};

// A table that knows nothing.
inline CodedQuality flat_quality() {
  CodedQuality quality;
  for (const codec::BoundaryTensor& tensor : kBoundary) {
    codec::CodedTensorTable table{
        .step = 0x3F00,
        .rounding = 85,
        .has_sign = quality.tensors.empty(),
        .centroids = {90, 90, 90, 90, 90, 90, 90},
        .channel_class = std::vector<std::uint8_t>(tensor.channels),
        .channel_classes = 1,
        .probabilities = std::vector<std::uint8_t>(codec::kProbabilitiesPerClass, 128)};
    quality.tensors.push_back(std::move(table));
  }
  return quality;
}

// The same, with the first tensor turned: to other channels' sums and differences.
inline CodedQuality turned_quality() {
  CodedQuality quality = flat_quality();
  codec::CodedTransformTable& transform = quality.tensors[0].transform.emplace();
  quality.tensors[0].step = 0x3C00;
  transform.means = {5, -5, 0, 100, -100};
  transform.directions.assign(25, 7327);
  for (std::size_t c = 0; c < 5; ++c) transform.directions[6 * c] = -9057;
  transform.steps = {800, 400, 200, 100, 50};
  return quality;
}

// Levels are chosen by what they cost.
inline CodedQuality chosen(CodedQuality quality) {
  for (codec::CodedTensorTable& table : quality.tensors) table.bit_weight = 26;
  return quality;
}

// By the first byte of an input; 4: coded, as `quality` says.
inline codec::Created make(std::uint8_t choice, const CodedQuality& quality) {
  return choice == 0   ? codec::make_raw_codec(kBoundary)
         : choice == 1 ? codec::make_lossless_codec(kBoundary)
         : choice == 2 ? codec::make_f16_codec(kBoundary)
         : choice == 3 ? codec::make_int8_codec(kBoundary)
                       : codec::make_coded_codec(kBoundary, quality);
}

}  // namespace cleave::fuzz
