// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/channel_scaling.h"

#include <utility>
#include <vector>

namespace cleave::importer {

std::size_t output_channel_of(const Node& node, std::size_t channels, std::size_t element) {
  if (node.kind == NodeKind::kDepthwiseConv2D) return element % channels;
  return element / (node.kernel.size() / channels);
}

std::size_t input_channel_of(const Node& node, std::size_t channels, std::size_t input_channels,
                             std::size_t element) {
  const std::size_t channel = output_channel_of(node, channels, element);
  if (node.kind == NodeKind::kDepthwiseConv2D) return channel / node.multiplier;
  const std::size_t in_group = input_channels / node.groups;
  const std::size_t group = channel / (channels / node.groups);
  return group * in_group + element % in_group;
}

void scale_outputs(Node& node, std::span<const float> factors) {
  const std::size_t channels = factors.size();
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.kernel[i] *= factors[output_channel_of(node, channels, i)];
  }
  for (std::size_t c = 0; c < node.bias.size(); ++c) node.bias[c] *= factors[c];
  node.bias_quantization = {};
  QuantizationParameters& kernel = node.kernel_quantization;
  if (kernel.empty()) return;
  const int axis = node.kind == NodeKind::kDepthwiseConv2D ? 2 : 0;
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

void scale_inputs(Node& node, std::size_t channels, std::span<const float> factors) {
  if (node.kind == NodeKind::kDepthwiseConv2D) {
    std::vector<float> inverse;
    for (const float factor : factors) inverse.insert(inverse.end(), node.multiplier, 1 / factor);
    std::vector<float> bias = std::move(node.bias);
    node.bias.clear();
    scale_outputs(node, inverse);
    node.bias = std::move(bias);
    return;
  }
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.kernel[i] /= factors[input_channel_of(node, channels, factors.size(), i)];
  }
  node.kernel_quantization = {};
  node.bias_quantization = {};
}

}  // namespace cleave::importer
