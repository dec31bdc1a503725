// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/rounding_noise.h"

#include <algorithm>
#include <cmath>

#include "engine/importer/channel_groups.h"
#include "engine/importer/channel_scaling.h"
#include "engine/importer/quantize_weights.h"

namespace cleave::importer {
namespace {

// A kernel errs alike at all pixels of all pictures, while errors of values part: pools average
// them. (10 instead of 1 took a seventh off the error of SqueezeNet's scores, 3 a tenth.)
constexpr double kKernelWeight = 10;

double squared(double x) { return x * x; }

bool rounds_its_output(NodeKind kind) {
  return kind == NodeKind::kConv2D || kind == NodeKind::kDepthwiseConv2D || kind == NodeKind::kAdd;
}

// Of errors that are even over a step of the value's int8 form.
double own_variance(ValueRange range) {
  return squared((static_cast<double>(range.maximum) - range.minimum) / 255) / 12;
}

}  // namespace

RoundingNoise::RoundingNoise(const Graph& graph, const Calibration& calibration)
    : graph_(graph), calibration_(calibration), variance_(graph.values.size(), 0.0) {
  variance_[graph.input] = own_variance(calibration.ranges[graph.input]);
  for (const Node& node : graph.nodes) {
    double& variance = variance_[node.output];
    if (!takes_up_factors(node.kind)) {
      for (const ValueId input : node.inputs) {
        const double other = variance_[input];
        variance = node.kind == NodeKind::kAdd ? variance + other : std::max(variance, other);
      }
    }
    if (node.kind == NodeKind::kGlobalAveragePool) {
      const Hwc& shape = graph.values[node.inputs[0]].shape;
      variance /= static_cast<double>(shape.height) * shape.width;
    }
    if (rounds_its_output(node.kind)) variance += own_variance(calibration.ranges[node.output]);
  }
}

double RoundingNoise::of_node(const Node& node, std::span<const float> factors) const {
  const std::size_t channels = graph_.values[node.output].shape.channels;
  const std::vector<ChannelRange>& inputs = calibration_.channels[node.inputs[0]];
  const std::vector<ChannelRange>& outputs = calibration_.channels[node.output];
  if (inputs.empty() || outputs.empty()) return 0;
  std::vector<double> largest(channels, 0.0);
  std::vector<double> spread(channels, 0.0);  // of what the kernel's errors are multiplied with
  double noise = 0;
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    const std::size_t from = input_channel_of(node, channels, factors.size(), i);
    const std::size_t to = output_channel_of(node, channels, i);
    const double weight = static_cast<double>(node.kernel[i]) / factors[from];
    noise +=
        variance_[node.inputs[0]] * static_cast<double>(inputs[from].occupied) * squared(weight);
    largest[to] = std::max(largest[to], std::abs(weight));
    spread[to] += squared(static_cast<double>(inputs[from].deviation) * factors[from]);
  }
  const bool moved = node.kind != NodeKind::kDepthwiseConv2D &&
                     std::ranges::any_of(factors, [](float factor) { return factor != 1; });
  const bool exact = !moved && keeps_source_integers(node, channels);
  double power = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    power += squared(outputs[c].deviation);
    if (!exact) noise += kKernelWeight * squared(largest[c] / 127) / 12 * spread[c];
  }
  return power > 0 ? noise / power : 0;
}

}  // namespace cleave::importer
