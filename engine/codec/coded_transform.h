// SPDX-License-Identifier: Apache-2.0
//
// An f32 tensor to levels and back by way of a transform: what neighbours in position and channel
// have in common is coded once, and what the answer depends on less gets coarser steps. Integers
// after the first multiplication and before the last, so levels and values are the same on every
// architecture. The arithmetic is written down in codec_format.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"

namespace cleave::codec {

// Used by one thread at a time: it holds a row of blocks on its way.
class CodedTransform {
 public:
  // REQUIRES: a table with a transform that read_coded_table() accepts for `tensor`. Takes all
  // memory.
  CodedTransform(const CodedTensorTable& table, const BoundaryTensor& tensor);

  // A row of blocks, [side][width][channels] f32, as levels, [width / side][side * side *
  // channels], -127..127. NaN counts as 0. REQUIRES: spans of these lengths.
  void quantize(std::span<const std::byte> values, std::span<std::int8_t> levels);

  // Where what quantize() gives levels to stands, as CodedQuantizer::place() has it.
  // REQUIRES: as many as levels.
  void place(std::span<const std::byte> values, std::span<std::int16_t> places);

  // The reverse of quantize(): of any levels.
  void restore(std::span<const std::int8_t> levels, std::span<std::byte> values);

  // The integers that quantize() gives levels to, before it does: for calibration.
  // REQUIRES: as many as levels.
  void coefficients(std::span<const std::byte> values, std::span<std::int32_t> out);

  [[nodiscard]] std::size_t held_bytes() const;

 private:
  void turn_row(std::span<const std::byte> values);
  void gather_block(std::size_t block);
  // take(i): block_ holds what the block comes to whose first one is the row's i-th.
  template <typename Take>
  void for_blocks(std::span<const std::byte> values, const Take& take);
  void scatter_block(std::size_t block);
  void quantize_block(std::span<std::int8_t> levels) const;
  void place_block(std::span<std::int16_t> places) const;
  void restore_block(std::span<const std::int8_t> levels);

  std::size_t channels_, width_, side_;
  float unit_, per_unit_, rounding_;
  std::vector<std::int16_t> means_;
  std::vector<std::int16_t> directions_, by_channel_;  // [direction][channel], and the transpose
  std::vector<std::int32_t> steps_;                    // of a block's coefficients
  std::vector<float> per_step_;
  std::array<std::int32_t, 256> place_of_level_{};  // in 1/256 step, by the level's bits
  std::vector<std::int16_t> row_;                   // [side][width][channels], turned
  std::vector<std::int16_t> position_;              // [channels]
  std::vector<std::int32_t> block_;                 // [side * side][channels]
};

}  // namespace cleave::codec
