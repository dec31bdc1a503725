// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {
namespace {

struct Statistics {
  std::vector<float> gamma, beta, mean, variance;
};

Result<Statistics> read_statistics(TfjsImport& import, const TfjsLayer& layer,
                                   std::int64_t channels) {
  CLEAVE_ASSIGN_OR_RETURN(const bool scale, layer.config.flag("scale", true));
  CLEAVE_ASSIGN_OR_RETURN(const bool center, layer.config.flag("center", true));
  const auto count = static_cast<std::size_t>(channels);
  Statistics s{std::vector<float>(count, 1.0F), std::vector<float>(count, 0.0F), {}, {}};
  TfjsWeights& weights = import.weights();
  if (scale) {
    CLEAVE_ASSIGN_OR_RETURN(s.gamma, weights.take(layer.name, "gamma", {channels}));
  }
  if (center) {
    CLEAVE_ASSIGN_OR_RETURN(s.beta, weights.take(layer.name, "beta", {channels}));
  }
  CLEAVE_ASSIGN_OR_RETURN(s.mean, weights.take(layer.name, "moving_mean", {channels}));
  CLEAVE_ASSIGN_OR_RETURN(s.variance, weights.take(layer.name, "moving_variance", {channels}));
  return s;
}

// The axis must be the last one, written as -1 or by position, alone or in a list.
Result<bool> is_last_axis(const TfjsLayer& layer, std::size_t rank) {
  const Json* axis = layer.config.member("axis");
  if (axis == nullptr) return true;
  if (json_size(axis) == 1) axis = &json_at(*axis, 0);
  CLEAVE_ASSIGN_OR_RETURN(const std::int64_t index, json_integer(*axis));
  return index == -1 || index == static_cast<std::int64_t>(rank) - 1;
}

}  // namespace

// Inference form (Ioffe and Szegedy, 2015): y = gamma * (x - mean) / sqrt(variance + epsilon) +
// beta, as one factor and one term a channel, computed in double and rounded once.
Result<TfjsTensor> import_tfjs_batch_normalization(TfjsImport& import, const TfjsLayer& layer,
                                                   std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const bool last, is_last_axis(layer, input.view.dims.size()));
  const Hwc shape = import.shape(input);
  const bool channels_last =
      !input.view.dims.empty() &&
      (input.view == view_nhwc(shape) || input.view.dims.back() == ViewDim{Axis::kChannel});
  if (!last || !channels_last) {
    return Status(StatusCode::kUnsupported, "normalizes anything but channels");
  }
  CLEAVE_ASSIGN_OR_RETURN(const Statistics s, read_statistics(import, layer, shape.channels));
  CLEAVE_ASSIGN_OR_RETURN(const double epsilon, layer.config.number("epsilon", 1e-3));

  Node node;
  node.kind = NodeKind::kAffine;
  node.inputs = {input.value};
  for (std::size_t c = 0; c < shape.channels; ++c) {
    const double variance = double{s.variance[c]} + epsilon;
    if (!(variance > 0)) return Status(StatusCode::kCorrupt, "variance is not positive");
    const double factor = double{s.gamma[c]} / std::sqrt(variance);
    node.kernel.push_back(static_cast<float>(factor));
    node.bias.push_back(static_cast<float>(double{s.beta[c]} - double{s.mean[c]} * factor));
  }
  return import.emit(layer, std::move(node), input.view);
}

}  // namespace cleave::importer
