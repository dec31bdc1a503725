// SPDX-License-Identifier: Apache-2.0
//
// What calibration finds for codec Coded at one cut, and its bytes in the model file
// (CodecTable.data; grammar in codec_format.md). Both ends read the same, so that a stream needs
// to carry levels alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
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

// Sides of the blocks of positions that a transform takes together.
inline constexpr std::uint8_t kTransformSides[] = {1, 2, 4};
// A transform is for at most so many channels.
inline constexpr std::size_t kMaxTransformChannels = 256;
// Magnitudes in directions add up to less than this along each channel and direction, 16 in 2^-14:
// sums of products then fit 32 bits. Orthonormal ones of 256 channels come to it at most.
inline constexpr std::int32_t kMostDirectionSum = 1 << 18;

// An f32 tensor is coded as something else than its values: at each position the channels are
// turned to other directions, then the positions of a block are, to sums and differences, of which
// each has a step of its own (coded_transform.h).
struct CodedTransformTable {
  std::uint8_t side = 1;                 // of a block, in positions
  std::vector<std::int16_t> means;       // of each channel, in units
  std::vector<std::int16_t> directions;  // [direction][channel], in 2^-14
  std::vector<std::uint16_t> steps;      // [sum or difference][direction], in 1/8 unit
};

// Of one tensor that crosses the cut.
struct CodedTensorTable {
  // The upper half of a positive f32. With a transform it is the unit of its integers.
  std::uint16_t step = 0;
  // |level| = floor(|value| / step + rounding / 256): below 128 zero's interval is the widest.
  std::uint8_t rounding = 128;
  // Of levels that are chosen instead: what a bit counts for, in 1/256 of a squared step
  // (level_coder.h). 0: none is.
  std::uint8_t bit_weight = 0;
  bool has_sign = false;  // else negative values become 0
  // Where in its interval the value of magnitude i + 1 stands, in 1/256 of a step.
  std::array<std::uint8_t, kCentroids> centroids{};
  // Of each coded channel, below channel_classes: side * side times as many as channels.
  std::vector<std::uint8_t> channel_class;
  std::uint8_t channel_classes = 1;
  // [channel class][neighbour class][question]: of "yes" at the beginning, (2 p + 1) / 512.
  std::vector<std::uint8_t> probabilities;
  std::optional<CodedTransformTable> transform = std::nullopt;

  [[nodiscard]] std::size_t side() const { return transform ? transform->side : 1; }
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
