// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/equalize.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace cleave::importer {
namespace {

// Photos that did not calibrate go beyond what those did. By the mean error of the scores of two
// MobileNetV2 files: without headroom the clamp at 6 cuts off more than finer steps gain, with half
// the range little is gained; and a channel of a quarter of the range no longer matters.
constexpr float kShareOfRange = 0.75F;
constexpr float kLargestFactor = 4;

// Scaled values must be clamped to what scaled values may be: at zero, or beyond it.
bool can_scale_outputs(const Node& node) {
  const bool convolution =
      node.kind == NodeKind::kConv2D || node.kind == NodeKind::kDepthwiseConv2D;
  return convolution && node.clamp_min <= 0 && node.clamp_max >= 0;
}

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
  return std::clamp(kShareOfRange / share, 1.0F, kLargestFactor);
}

std::vector<float> factors_of(ValueRange tensor, std::span<const ChannelRange> channels) {
  std::vector<float> factors;
  for (const ChannelRange& channel : channels) {
    factors.push_back(factor_of(share_of(channel.range, tensor)));
  }
  return factors;
}

// Per value: only depthwise convolutions read it, and at least one does.
std::vector<bool> find_read_by_depthwise(const Graph& graph) {
  std::vector<bool> depthwise(graph.values.size(), false);
  std::vector<bool> other(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    auto& readers = node.kind == NodeKind::kDepthwiseConv2D ? depthwise : other;
    for (const ValueId input : node.inputs) readers[input] = true;
  }
  for (std::size_t value = 0; value < depthwise.size(); ++value) {
    if (other[value] || value == graph.output) depthwise[value] = false;
  }
  return depthwise;
}

// Kernel, its scales and bias of each output channel times `factors`.
void scale_outputs(Node& node, std::span<const float> factors) {
  const std::size_t channels = factors.size();
  const bool depthwise = node.kind == NodeKind::kDepthwiseConv2D;
  const std::size_t inner = depthwise ? 1 : node.kernel.size() / channels;
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.kernel[i] *= factors[i / inner % channels];
  }
  for (std::size_t c = 0; c < node.bias.size(); ++c) node.bias[c] *= factors[c];
  node.bias_quantization = {};
  QuantizationParameters& kernel = node.kernel_quantization;
  if (kernel.empty()) return;
  const int axis = depthwise ? 2 : 0;
  if (kernel.scale.size() != 1 && (kernel.scale.size() != channels || kernel.axis != axis)) {
    kernel = {};  // along another axis: no scales of int8 kernels
    return;
  }
  if (kernel.scale.size() == 1) {
    kernel.scale.assign(channels, kernel.scale[0]);
    kernel.zero_point.assign(channels, kernel.zero_point[0]);
    kernel.axis = axis;
  }
  for (std::size_t c = 0; c < channels; ++c) kernel.scale[c] *= factors[c];
}

// What a depthwise convolution reads was multiplied by `factors`: its kernel takes them back.
void scale_inputs(Node& depthwise, std::span<const float> factors) {
  std::vector<float> inverse;
  for (const float factor : factors)
    inverse.insert(inverse.end(), depthwise.multiplier, 1 / factor);
  std::vector<float> bias = std::move(depthwise.bias);
  depthwise.bias.clear();
  scale_outputs(depthwise, inverse);
  depthwise.bias = std::move(bias);
}

}  // namespace

bool equalize(Graph& graph, const Calibration& calibration) {
  const std::vector<bool> goes = find_read_by_depthwise(graph);
  bool changed = false;
  for (Node& writer : graph.nodes) {
    const ValueId value = writer.output;
    if (!can_scale_outputs(writer) || !goes[value]) continue;
    const std::vector<float> factors =
        factors_of(calibration.ranges[value], calibration.channels[value]);
    if (std::ranges::all_of(factors, [](float factor) { return factor == 1; })) continue;
    scale_outputs(writer, factors);
    for (Node& reader : graph.nodes) {
      if (reader.inputs[0] == value) scale_inputs(reader, factors);
    }
    changed = true;
  }
  return changed;
}

}  // namespace cleave::importer
