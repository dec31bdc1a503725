// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_values.h"

namespace cleave::codec {

BoundaryTensor coded_shape(const BoundaryTensor& tensor, const CodedTensorTable& table) {
  const std::size_t side = table.side();
  BoundaryTensor shape = tensor;
  shape.positions /= side * side;
  shape.width /= side;
  shape.channels *= side * side;
  return shape;
}

CodedValues::CodedValues(const BoundaryTensor& tensor, const CodedTensorTable& table)
    : elements_(tensor.elements()),
      row_(tensor.width * tensor.channels * table.side()),
      row_bytes_(row_ * (tensor.is_f32() ? 4 : 1)),
      quantizer_(table, tensor) {
  if (table.transform) transform_.emplace(table, tensor);
}

void CodedValues::quantize_row(std::span<const std::byte> values, std::size_t y,
                               std::span<std::int8_t> levels) {
  const auto row = values.subspan(y * row_bytes_, row_bytes_);
  transform_ ? transform_->quantize(row, levels) : quantizer_.quantize(row, levels);
}

void CodedValues::place_row(std::span<const std::byte> values, std::size_t y,
                            std::span<std::int16_t> places) {
  const auto row = values.subspan(y * row_bytes_, row_bytes_);
  transform_ ? transform_->place(row, places) : quantizer_.place(row, places);
}

void CodedValues::restore_row(std::span<const std::int8_t> levels, std::size_t y,
                              std::span<std::byte> values) {
  const auto row = values.subspan(y * row_bytes_, row_bytes_);
  transform_ ? transform_->restore(levels, row) : quantizer_.restore(levels, row);
}

void CodedValues::quantize(std::span<const std::byte> values, std::span<std::int8_t> levels) {
  for (std::size_t y = 0; y < rows(); ++y) quantize_row(values, y, levels.subspan(y * row_, row_));
}

void CodedValues::restore(std::span<const std::int8_t> levels, std::span<std::byte> values) {
  for (std::size_t y = 0; y < rows(); ++y) restore_row(levels.subspan(y * row_, row_), y, values);
}

}  // namespace cleave::codec
