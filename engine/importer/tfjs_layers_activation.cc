// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {

Result<TfjsTensor> import_tfjs_activation(TfjsImport& import, const TfjsLayer& layer,
                                          std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const std::string function, layer.config.text("activation", ""));
  if (function == "linear") return import.emit_marker(layer, input, input.view);
  return import.activate(layer.name, layer.type, input, function);
}

// With a slope below zero it is a leaky ReLU, limited above by a node of its own.
Result<TfjsTensor> import_tfjs_relu(TfjsImport& import, const TfjsLayer& layer,
                                    std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const double slope, layer.config.number("negative_slope", 0));
  CLEAVE_ASSIGN_OR_RETURN(const double threshold, layer.config.number("threshold", 0));
  if (threshold != 0) return Status(StatusCode::kUnsupported, "a threshold other than 0");
  Node clamp;
  clamp.kind = NodeKind::kClamp;
  if (layer.config.member("max_value") != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(const double maximum, layer.config.number("max_value", 0));
    if (maximum < 0) return Status(StatusCode::kCorrupt, "its max_value is below 0");
    clamp.clamp_max = static_cast<float>(maximum);
  }
  if (slope == 0) {
    clamp.clamp_min = 0;
  } else {
    Node leaky;
    leaky.kind = NodeKind::kLeakyRelu;
    leaky.inputs = {input.value};
    leaky.alpha = static_cast<float>(slope);
    const char* suffix = clamp.has_clamp() ? "/leaky" : "";
    CLEAVE_ASSIGN_OR_RETURN(input, import.emit(layer, std::move(leaky), input.view, suffix));
    if (!clamp.has_clamp()) return input;
  }
  clamp.inputs = {input.value};
  return import.emit(layer, std::move(clamp), input.view);
}

Result<TfjsTensor> import_tfjs_softmax(TfjsImport& import, const TfjsLayer& layer,
                                       std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  if (const Json* axis = layer.config.member("axis"); axis != nullptr) {
    CLEAVE_ASSIGN_OR_RETURN(const std::int64_t index, json_integer(*axis));
    const auto rank = static_cast<std::int64_t>(input.view.dims.size());
    if (index != -1 && index != rank - 1) {
      return Status(StatusCode::kUnsupported, "a softmax over anything but channels");
    }
  }
  return import.activate(layer.name, layer.type, input, "softmax");
}

}  // namespace cleave::importer
