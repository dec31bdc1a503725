// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {

// More than two inputs are added one after the other, as Keras does.
Result<TfjsTensor> import_tfjs_add(TfjsImport& import, const TfjsLayer& layer,
                                   std::span<const TfjsTensor> inputs) {
  if (inputs.size() < 2) return Status(StatusCode::kCorrupt, "has less than two inputs");
  TfjsTensor sum = inputs[0];
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (import.shape(inputs[i]) != import.shape(sum) || inputs[i].view != sum.view) {
      return Status(StatusCode::kUnsupported, "its inputs are not of one shape");
    }
    Node node;
    node.kind = NodeKind::kAdd;
    node.inputs = {sum.value, inputs[i].value};
    const std::string suffix = i + 1 == inputs.size() ? "" : "/" + std::to_string(i);
    CLEAVE_ASSIGN_OR_RETURN(sum, import.emit(layer, std::move(node), sum.view, suffix.c_str()));
  }
  return sum;
}

Result<TfjsTensor> import_tfjs_concatenate(TfjsImport& import, const TfjsLayer& layer,
                                           std::span<const TfjsTensor> inputs) {
  std::int64_t axis = -1;
  if (const Json* given = layer.config.member("axis"); given != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(axis, json_integer(*given));
  }
  const auto rank = static_cast<std::int64_t>(inputs[0].view.dims.size());
  bool channels = axis == -1 || axis == rank - 1;
  Node node;
  node.kind = NodeKind::kConcat;
  for (const TfjsTensor& input : inputs) {
    const Hwc& shape = import.shape(input);
    const bool vector = shape.height == 1 && shape.width == 1;
    channels = channels && static_cast<std::int64_t>(input.view.dims.size()) == rank &&
               (input.view == view_nhwc(shape) || vector);
    node.inputs.push_back(input.value);
  }
  if (!channels) return Status(StatusCode::kUnsupported, "joins anything but channels");
  LayoutView view = inputs[0].view;
  view.dims.back() = {Axis::kChannel};
  return import.emit(layer, std::move(node), std::move(view));
}

}  // namespace cleave::importer
