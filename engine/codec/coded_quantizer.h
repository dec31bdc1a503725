// SPDX-License-Identifier: Apache-2.0
//
// Values to levels and back for codec Coded. Encoding takes one multiplication, one addition and
// one truncation of IEEE 754 for each value, never fused; every value that decoding may give was
// computed once, exactly. So levels and values are the same on every architecture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/codec/coded_table.h"

namespace cleave::codec {

class CodedQuantizer {
 public:
  // `zero_point` is that of an int8 tensor, whose values are (q - zero_point); of f32 it is 0.
  // REQUIRES: a table that read_coded_table() accepts; -128..127.
  CodedQuantizer(const CodedTensorTable& table, std::int32_t zero_point);

  // levels[i] of the i-th value, -127..127, or 0..127 without sign. NaN has that of 0.
  // REQUIRES: 4 bytes of f32 for each level.
  void quantize_f32(std::span<const std::byte> values, std::span<std::int8_t> levels) const;
  // REQUIRES: as many int8 values.
  void quantize_int8(std::span<const std::byte> values, std::span<std::int8_t> levels) const;

  // The reverse: of any levels.
  void restore_f32(std::span<const std::int8_t> levels, std::span<std::byte> values) const;
  void restore_int8(std::span<const std::int8_t> levels, std::span<std::byte> values) const;

 private:
  float per_step_;
  float rounding_;
  std::int32_t sign_mask_;  // 0: negative values become 0; -1: they do not
  // By the level's or the value's bits.
  std::array<float, 256> value_of_level_{};
  std::array<std::byte, 256> int8_of_level_{};
  std::array<std::int8_t, 256> level_of_int8_{};
};

}  // namespace cleave::codec
