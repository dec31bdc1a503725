// SPDX-License-Identifier: Apache-2.0
//
// One tensor of codec Coded as values and as levels: by its steps alone, or by way of a transform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/codec/coded_quantizer.h"
#include "engine/codec/coded_table.h"
#include "engine/codec/coded_transform.h"

namespace cleave::codec {

// The shape of its levels: with a transform blocks are their positions, and what a block comes to
// are their channels.
[[nodiscard]] BoundaryTensor coded_shape(const BoundaryTensor& tensor,
                                         const CodedTensorTable& table);

// Used by one thread at a time. Rows are those of the levels: of positions, or of blocks.
class CodedValues {
 public:
  // REQUIRES: a table that read_coded_table() accepts for `tensor`; its contexts are not looked at.
  // Takes all memory.
  CodedValues(const BoundaryTensor& tensor, const CodedTensorTable& table);

  [[nodiscard]] std::size_t elements() const { return elements_; }
  [[nodiscard]] std::size_t rows() const { return elements_ / row_; }
  [[nodiscard]] std::size_t held_bytes() const { return transform_ ? transform_->held_bytes() : 0; }

  // Row `y` of a tensor's values as levels, and back. REQUIRES: all values, the levels of a row.
  void quantize_row(std::span<const std::byte> values, std::size_t y,
                    std::span<std::int8_t> levels);
  // Or as where they stand, in 1/256 step (CodedQuantizer::place()).
  void place_row(std::span<const std::byte> values, std::size_t y, std::span<std::int16_t> places);
  void restore_row(std::span<const std::int8_t> levels, std::size_t y, std::span<std::byte> values);

  // All rows. REQUIRES: as many levels as elements().
  void quantize(std::span<const std::byte> values, std::span<std::int8_t> levels);
  void restore(std::span<const std::int8_t> levels, std::span<std::byte> values);

 private:
  std::size_t elements_;
  std::size_t row_;  // elements
  std::size_t row_bytes_;
  CodedQuantizer quantizer_;  // without a transform
  std::optional<CodedTransform> transform_;
};

}  // namespace cleave::codec
