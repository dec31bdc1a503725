// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/importer/tflite_import.h"

namespace cleave::importer {
namespace {

constexpr std::int64_t kMaxPadding = 1 << 16;

Result<std::uint32_t> padding_extent(std::int64_t extent) {
  if (extent < 0 || extent > kMaxPadding) {
    return Status(StatusCode::kCorrupt, "padding of " + std::to_string(extent));
  }
  return static_cast<std::uint32_t>(extent);
}

// Pairs (before, after) for N, H, W, C; only height and width may grow.
Result<Padding2D> read_paddings(const std::vector<std::int64_t>& pairs) {
  if (pairs.size() != 8) return Status(StatusCode::kCorrupt, "its paddings are not for N,H,W,C");
  if (pairs[0] != 0 || pairs[1] != 0 || pairs[6] != 0 || pairs[7] != 0) {
    return Status(StatusCode::kUnsupported, "pads batch or channels");
  }
  Padding2D padding;
  CLEAVE_ASSIGN_OR_RETURN(padding.top, padding_extent(pairs[2]));
  CLEAVE_ASSIGN_OR_RETURN(padding.bottom, padding_extent(pairs[3]));
  CLEAVE_ASSIGN_OR_RETURN(padding.left, padding_extent(pairs[4]));
  CLEAVE_ASSIGN_OR_RETURN(padding.right, padding_extent(pairs[5]));
  return padding;
}

Result<LayoutView> squeezed(const LayoutView& view, const Hwc& shape,
                            const flatbuffers::Vector<std::int32_t>* dims) {
  const std::vector<std::int64_t> extents = view_extents(view, shape);
  const auto rank = static_cast<std::int64_t>(extents.size());
  const bool all = dims == nullptr || dims->size() == 0;
  std::vector<bool> dropped(extents.size(), false);
  for (std::size_t i = 0; all && i < extents.size(); ++i) dropped[i] = extents[i] == 1;
  for (std::uint32_t i = 0; !all && i < dims->size(); ++i) {
    const std::int64_t dim = dims->Get(i) < 0 ? dims->Get(i) + rank : dims->Get(i);
    if (dim < 0 || dim >= rank || extents[static_cast<std::size_t>(dim)] != 1) {
      return Status(StatusCode::kCorrupt, "squeezes a dimension that is not of extent 1");
    }
    dropped[static_cast<std::size_t>(dim)] = true;
  }
  LayoutView result;
  for (std::size_t i = 0; i < view.dims.size(); ++i) {
    if (!dropped[i]) result.dims.push_back(view.dims[i]);
  }
  return result;
}

}  // namespace

Status import_concatenation(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_ConcatenationOptions();
  if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand first, import.operand(op, 0));
  const auto rank = static_cast<std::int64_t>(first.view.dims.size());
  const std::int64_t axis = options->axis() < 0 ? options->axis() + rank : options->axis();
  if (axis < 0 || axis >= rank) return {StatusCode::kCorrupt, "its axis is out of range"};
  // A dimension of extent 1 does not show its axis, so N,H,W,C goes by position.
  const bool nhwc = first.view == view_nhwc(import.shape(first.value));
  const bool channels =
      nhwc ? axis == 3 : first.view.dims[static_cast<std::size_t>(axis)] == ViewDim{Axis::kChannel};
  if (!channels) return {StatusCode::kUnsupported, "joins anything but channels"};
  Node node;
  node.kind = NodeKind::kConcat;
  for (std::size_t i = 0; i < op.input_count(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, i));
    if (input.view != (nhwc ? view_nhwc(import.shape(input.value)) : first.view)) {
      return {StatusCode::kUnsupported, "its inputs are laid out differently"};
    }
    node.inputs.push_back(input.value);
  }
  if (nhwc) return import.emit(op, std::move(node), options->activation());
  return import.emit(op, std::move(node), options->activation(), first.view);
}

Status import_pad(TfliteImport& import, const TfliteOperator& op) {
  CLEAVE_ASSIGN_OR_RETURN(const ValueId input, import.nhwc_operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> pairs, import.integers(op.input(1)));
  Node node;
  node.kind = NodeKind::kPad;
  node.inputs = {input};
  CLEAVE_ASSIGN_OR_RETURN(node.padding, read_paddings(pairs));
  if (op.code == tflite::BuiltinOperator::PADV2) {
    CLEAVE_ASSIGN_OR_RETURN(const TfliteConstant value, import.constant(op.input(2)));
    if (value.values.size() != 1) return {StatusCode::kCorrupt, "its value is not one number"};
    node.pad_value = value.values[0];
  }
  return import.emit(op, std::move(node));
}

// The wanted shape is an input or an option; converters that know the result's shape store it, so
// the output tensor's own shape is the one that counts.
Status import_reshape(TfliteImport& import, const TfliteOperator& op) {
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view, reshape_view(input.view, import.shape(input.value),
                                                        import.tensor_shape(op.output(0))));
  return import.emit_marker(op, std::move(view));
}

Status import_squeeze(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_SqueezeOptions();
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view,
                          squeezed(input.view, import.shape(input.value),
                                   options == nullptr ? nullptr : options->squeeze_dims()));
  return import.emit_marker(op, std::move(view));
}

Status import_transpose(TfliteImport& import, const TfliteOperator& op) {
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> order, import.integers(op.input(1)));
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view, transpose_view(input.view, order));
  return import.emit_marker(op, std::move(view));
}

// Between f32 and numbers that stand for it nothing is computed, once weights are f32. A
// DEQUANTIZE of a constant is how converters store float16 weights.
Status import_quantize(TfliteImport& import, const TfliteOperator& op) {
  if (import.tensor(op.output(0)) == nullptr) {
    return {StatusCode::kCorrupt, "its output does not exist"};
  }
  if (import.is_constant(op.input(0))) {
    import.alias_constant(op.output(0), op.input(0));
    return Status::ok();
  }
  CLEAVE_ASSIGN_OR_RETURN(TfliteOperand input, import.operand(op, 0));
  return import.emit_marker(op, std::move(input.view));
}

}  // namespace cleave::importer
