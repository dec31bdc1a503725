// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/equalize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "engine/importer/channel_groups.h"
#include "engine/importer/channel_scaling.h"
#include "engine/importer/rounding_noise.h"

namespace cleave::importer {
namespace {

// A channel of a quarter of the range no longer matters, and what is known of one that calibration
// hardly ever saw is little.
constexpr float kLargestFactor = 4;

// Tried for every component, as powers of the largest factors.
constexpr std::array kPowers{0.0F, 0.25F, 0.5F, 0.75F, 1.0F};

// The share of the tensor's range that a channel takes up, to the side where it is larger. 1 or
// more: nothing to gain.
float share_of(ValueRange channel, ValueRange tensor) {
  float share = 0;
  if (channel.maximum > 0) share = tensor.maximum > 0 ? channel.maximum / tensor.maximum : 1;
  if (channel.minimum < 0) {
    share = std::max(share, tensor.minimum < 0 ? channel.minimum / tensor.minimum : 1);
  }
  return share;
}

// A channel of nothing but zeros has nothing to gain either.
float factor_of(float share) {
  if (!(share > 0)) return 1;
  return std::clamp(1 / share, 1.0F, kLargestFactor);
}

// For each group the largest factor that keeps its channels within their values' ranges.
std::vector<float> largest_factors(const Graph& graph, const Calibration& calibration,
                                   const ChannelGroups& groups) {
  std::vector<float> largest(groups.group_count(), kLargestFactor);
  for (ValueId value = 0; value < graph.values.size(); ++value) {
    const std::vector<ChannelRange>& channels = calibration.channels[value];
    for (std::size_t c = 0; c < graph.values[value].shape.channels; ++c) {
      const std::size_t group = groups.group_of(value, c);
      const bool known = !channels.empty() && groups.is_free(group);
      const float factor =
          known ? factor_of(share_of(channels[c].foretold, calibration.ranges[value])) : 1;
      largest[group] = std::min(largest[group], factor);
    }
  }
  return largest;
}

std::vector<float> factors_of(const Graph& graph, const ChannelGroups& groups, ValueId value,
                              std::span<const float> by_group) {
  std::vector<float> factors;
  for (std::size_t c = 0; c < graph.values[value].shape.channels; ++c) {
    factors.push_back(by_group[groups.group_of(value, c)]);
  }
  return factors;
}

bool is_all_one(std::span<const float> factors) {
  return std::ranges::all_of(factors, [](float factor) { return factor == 1; });
}

std::vector<float> to_power(std::vector<float> factors, float power) {
  for (float& factor : factors) factor = std::pow(factor, power);
  return factors;
}

// Of each component, the power of the factors under which its readers' sums err least: larger
// factors make a value's errors small, but those of its readers' kernels large.
std::vector<float> best_factors(const Graph& graph, const Calibration& calibration,
                                const ChannelGroups& groups) {
  const std::vector<float> largest = largest_factors(graph, calibration, groups);
  const RoundingNoise noise(graph, calibration);
  std::vector<double> least(graph.values.size(), std::numeric_limits<double>::infinity());
  std::vector<float> best(graph.values.size(), 0);
  for (const float power : kPowers) {
    const std::vector<float> tried = to_power(largest, power);
    std::vector<double> foretold(graph.values.size(), 0.0);
    for (const Node& node : graph.nodes) {
      if (!takes_up_factors(node.kind)) continue;
      const ValueId input = node.inputs[0];
      foretold[groups.component_of(input)] +=
          noise.of_node(node, factors_of(graph, groups, input, tried));
    }
    for (std::size_t component = 0; component < best.size(); ++component) {
      if (foretold[component] >= least[component]) continue;
      least[component] = foretold[component];
      best[component] = power;
    }
  }
  std::vector<float> factors(groups.group_count(), 1.0F);
  for (ValueId value = 0; value < graph.values.size(); ++value) {
    for (std::size_t c = 0; c < graph.values[value].shape.channels; ++c) {
      const std::size_t group = groups.group_of(value, c);
      factors[group] = std::pow(largest[group], best[groups.component_of(value)]);
    }
  }
  return factors;
}

}  // namespace

bool equalize(Graph& graph, const Calibration& calibration) {
  const ChannelGroups groups(graph);
  const std::vector<float> by_group = best_factors(graph, calibration, groups);
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (!takes_up_factors(node.kind)) continue;
    const std::vector<float> in = factors_of(graph, groups, node.inputs[0], by_group);
    const std::vector<float> out = factors_of(graph, groups, node.output, by_group);
    if (!is_all_one(in)) scale_inputs(node, out.size(), in);
    if (!is_all_one(out)) scale_outputs(node, out);
    changed = changed || !is_all_one(in) || !is_all_one(out);
  }
  return changed;
}

}  // namespace cleave::importer
