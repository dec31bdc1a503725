// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/importer/tf_same_padding.h"
#include "engine/importer/tflite_import.h"
#include "engine/importer/tflite_ops.h"

namespace cleave::importer {
namespace {

// The dimensions that are averaged away, each once, counted from the front.
Result<std::vector<bool>> reduced_dims(const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<bool> reduced(rank, false);
  for (std::int64_t axis : axes) {
    if (axis < 0) axis += static_cast<std::int64_t>(rank);
    if (axis < 0 || axis >= static_cast<std::int64_t>(rank)) {
      return Status(StatusCode::kCorrupt, "its axes are out of range");
    }
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  return reduced;
}

bool has_axis(const ViewDim& dim, Axis axis) {
  return std::find(dim.begin(), dim.end(), axis) != dim.end();
}

// Height and width must be reduced wholly, batch and channels not at all.
bool averages_the_picture(const LayoutView& view, const std::vector<bool>& reduced) {
  for (std::size_t i = 0; i < view.dims.size(); ++i) {
    const ViewDim& dim = view.dims[i];
    const bool kept_axis = has_axis(dim, Axis::kBatch) || has_axis(dim, Axis::kChannel);
    const bool image_axis = has_axis(dim, Axis::kHeight) || has_axis(dim, Axis::kWidth);
    if ((reduced[i] && kept_axis) || (!reduced[i] && image_axis)) return false;
  }
  return true;
}

LayoutView view_after_mean(const LayoutView& view, const std::vector<bool>& reduced,
                           bool keep_dims) {
  LayoutView result;
  for (std::size_t i = 0; i < view.dims.size(); ++i) {
    if (!reduced[i]) result.dims.push_back(view.dims[i]);
    if (reduced[i] && keep_dims) result.dims.emplace_back();
  }
  return result;
}

}  // namespace

Status import_pool_2d(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_Pool2DOptions();
  if (options == nullptr) return {StatusCode::kCorrupt, "has no options"};
  CLEAVE_ASSIGN_OR_RETURN(const ValueId input, import.nhwc_operand(op, 0));
  Node node;
  node.kind = op.code == tflite::BuiltinOperator::MAX_POOL_2D ? NodeKind::kMaxPool2D
                                                              : NodeKind::kAveragePool2D;
  node.inputs = {input};
  CLEAVE_ASSIGN_OR_RETURN(node.window.height, window_extent(options->window_height()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.width, window_extent(options->window_width()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.stride_height, window_extent(options->stride_height()));
  CLEAVE_ASSIGN_OR_RETURN(node.window.stride_width, window_extent(options->stride_width()));
  if (options->padding() == tflite::Padding::SAME) {
    node.padding = same_padding(import.shape(input), node.window);
  }
  return import.emit(op, std::move(node), options->activation());
}

Status import_mean(TfliteImport& import, const TfliteOperator& op) {
  const auto* options = op.source->options_as_ReducerOptions();
  const bool keep_dims = options != nullptr && options->keep_dims();
  CLEAVE_ASSIGN_OR_RETURN(const TfliteOperand input, import.operand(op, 0));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> axes, import.integers(op.input(1)));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                          reduced_dims(axes, input.view.dims.size()));
  if (!averages_the_picture(input.view, reduced)) {
    return {StatusCode::kUnsupported, "a mean over anything but height and width"};
  }
  Node node;
  node.kind = NodeKind::kGlobalAveragePool;
  node.inputs = {input.value};
  return import.emit(op, std::move(node), tflite::Activation::NONE,
                     view_after_mean(input.view, reduced, keep_dims));
}

}  // namespace cleave::importer
