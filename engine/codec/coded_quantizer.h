// SPDX-License-Identifier: Apache-2.0
//
// Values to levels and back for codec Coded. Encoding takes one multiplication, at most one
// addition and one truncation of IEEE 754 for each value, never fused; every value that decoding
// may give was computed once, exactly. So levels and values are the same on every architecture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"

namespace cleave::codec {

class CodedQuantizer {
 public:
  // For `tensor`: its f32 values, or int8 ones, which are (q - zero_point).
  // REQUIRES: a table that read_coded_table() accepts; a zero point of -128..127.
  CodedQuantizer(const CodedTensorTable& table, const BoundaryTensor& tensor);

  // levels[i] of the i-th value, -127..127, or 0..127 without sign. NaN has that of 0.
  // REQUIRES: as many values as levels, of the tensor's dtype.
  void quantize(std::span<const std::byte> values, std::span<std::int8_t> levels) const {
    is_f32_ ? quantize_f32(values, levels) : quantize_int8(values, levels);
  }

  // Where the values stand, in 1/256 step and cut off at kMostPlace: what levels are chosen by.
  // REQUIRES: as for quantize().
  void place(std::span<const std::byte> values, std::span<std::int16_t> places) const {
    is_f32_ ? place_f32(values, places) : place_int8(values, places);
  }

  // The reverse of quantize(): of any levels.
  void restore(std::span<const std::int8_t> levels, std::span<std::byte> values) const {
    is_f32_ ? restore_f32(levels, values) : restore_int8(levels, values);
  }

 private:
  void quantize_f32(std::span<const std::byte> values, std::span<std::int8_t> levels) const;
  void quantize_int8(std::span<const std::byte> values, std::span<std::int8_t> levels) const;
  void place_f32(std::span<const std::byte> values, std::span<std::int16_t> places) const;
  void place_int8(std::span<const std::byte> values, std::span<std::int16_t> places) const;
  void restore_f32(std::span<const std::int8_t> levels, std::span<std::byte> values) const;
  void restore_int8(std::span<const std::int8_t> levels, std::span<std::byte> values) const;

  bool is_f32_;
  float per_step_;
  float rounding_;
  std::int32_t sign_mask_;  // 0: negative values become 0; -1: they do not
  // By the level's or the value's bits.
  std::array<float, 256> value_of_level_{};
  std::array<std::byte, 256> int8_of_level_{};
  std::array<std::int8_t, 256> level_of_int8_{};
  std::array<std::int16_t, 256> place_of_int8_{};
};

}  // namespace cleave::codec
