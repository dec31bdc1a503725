// SPDX-License-Identifier: Apache-2.0
//
// What calibration finds for codec Coded at one cut, and its bytes in the model file
// (CodecTable.data; grammar in codec_format.md). Both ends read the same, so that a stream needs
// to carry levels alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/codec/codec_factories.h"
#include "schemas/status.h"

namespace cleave::codec {

// Levels are -kMostLevel..kMostLevel. With more than so many steps from zero to the largest value,
// a byte a value would be the better codec.
inline constexpr int kMostLevel = 127;
// Magnitudes from 1 that have a centroid; beyond, a level's value is in the middle of its interval.
inline constexpr std::size_t kCentroids = 7;
inline constexpr std::size_t kMaxQualities = 8;
inline constexpr std::size_t kMaxChannelClasses = 32;
// A level's neighbours are in one of so many classes (neighbour_classes.h).
inline constexpr std::size_t kNeighbourClasses = 64;
// Questions that a context has a model for: is it zero, is it negative, is it more than 1..6?
inline constexpr std::size_t kQuestions = 8;
inline constexpr std::size_t kProbabilitiesPerClass = kNeighbourClasses * kQuestions;
// 2^-110 and 2^115, both included: a step and its inverse are normal numbers.
inline constexpr std::uint16_t kLeastCodedStep = 0x0880;
inline constexpr std::uint16_t kMostCodedStep = 0x7900;

// Of one tensor that crosses the cut.
struct CodedTensorTable {
  std::uint16_t step = 0;  // the upper half of a positive f32
  // |level| = floor(|value| / step + rounding / 256): below 128 zero's interval is the widest.
  std::uint8_t rounding = 128;
  bool has_sign = false;  // else negative values become 0
  // Where in its interval the value of magnitude i + 1 stands, in 1/256 of a step.
  std::array<std::uint8_t, kCentroids> centroids{};
  std::vector<std::uint8_t> channel_class;  // of each channel, below channel_classes
  std::uint8_t channel_classes = 1;
  // [channel class][neighbour class][question]: of "yes" at the beginning, (2 p + 1) / 512.
  std::vector<std::uint8_t> probabilities;
};

// One level of quality of a cut.
struct CodedQuality {
  // What calibration measured on its pictures.
  CodedFigures figures;
  std::vector<CodedTensorTable> tensors;  // in the order of the cut
};

// Takes memory as `boundary` and the caps above allow. Errors: kCorrupt, saying what does not
// check.
[[nodiscard]] Result<std::vector<CodedQuality>> read_coded_table(std::span<const std::uint8_t> data,
                                                                 const Boundary& boundary);

// The reverse. REQUIRES: what read_coded_table() accepts.
[[nodiscard]] std::vector<std::uint8_t> write_coded_table(std::span<const CodedQuality> qualities);

}  // namespace cleave::codec
