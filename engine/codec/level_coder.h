// SPDX-License-Identifier: Apache-2.0
//
// The levels of one tensor through the range coder, row by row, each in the context of its
// channel's class and of its neighbours' class; and the choice of levels by what they cost there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec/coded_table.h"
#include "engine/codec/neighbour_classes.h"
#include "engine/codec/range_coder.h"

namespace cleave::codec {

class LevelCoder {
 public:
  // REQUIRES: a table that was read for a tensor of so many channels. Takes all memory.
  LevelCoder(const CodedTensorTable& table, std::size_t width, std::size_t channels);

  // To the beginning of a tensor: its probabilities, and no row above.
  void start();

  // The row that is coded next becomes the one above. Gives the new one, [width][channels], whose
  // content is anything.
  std::span<std::int8_t> next_row();

  // Codes the row at hand. REQUIRES: its levels are -127..127, not negative without sign.
  void encode_row(RangeEncoder& encoder);

  // Chooses the levels of the row at hand, each before it is coded, and codes them: from the level
  // that is nearest to a value towards zero, as long as the next one's squared error, in steps, and
  // bits, by the table's weight, add up to less; from kQuestions - 1 on by the table's rounding.
  // What a level costs those that come after it is not looked at. (Rate-distortion optimized
  // quantization, as encoders of video do it.) `places`: of the row's values, in 1/256 step; not
  // negative without sign.
  void choose_and_encode_row(std::span<const std::int16_t> places, RangeEncoder& encoder);

  void decode_row(RangeDecoder& decoder);

  // Of the row at hand: the sum of (2 i + 1) level[i], i being the place in the row.
  [[nodiscard]] std::uint32_t row_sum() const;

  [[nodiscard]] std::size_t held_bytes() const;

 private:
  struct Context {
    BitModel is_zero, is_negative;
    std::array<BitModel, kQuestions - 2> is_more;  // than i + 1
  };

  struct Places {
    Context* contexts;
    const std::uint16_t* first;
    const std::uint8_t* classes;
    std::size_t channels;
  };
  [[nodiscard]] Places places();

  template <bool kHasSign>
  void encode_levels(RangeEncoder& encoder);
  template <bool kHasSign>
  void choose_levels(std::span<const std::int16_t> row, RangeEncoder& encoder);
  // For a value that stands there.
  template <bool kHasSign>
  [[nodiscard]] int choose_level(const Context& context, int place) const;
  template <bool kHasSign>
  void decode_levels(RangeDecoder& decoder);
  void find_classes(std::size_t position);
  template <bool kHasSign>
  static void encode_level(RangeEncoder& encoder, Context& context, int level);
  template <bool kHasSign>
  static int decode_level(RangeDecoder& decoder, Context& context);

  bool has_sign_;
  std::int32_t bit_weight_, rounding_;
  std::array<std::int32_t, kQuestions> place_of_magnitude_{};
  std::size_t channels_;
  std::size_t row_;                           // levels of one
  std::vector<std::uint16_t> first_context_;  // of each channel: that of its class
  std::vector<Context> initial_, contexts_;
  std::vector<std::uint8_t> classes_;  // of a position's levels
  // Two rows, each between two positions of zeros.
  std::array<std::vector<std::int8_t>, 2> rows_;
  std::size_t at_hand_ = 0;  // of rows_
};

}  // namespace cleave::codec
