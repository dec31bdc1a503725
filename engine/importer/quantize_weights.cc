// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/quantize_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/importer/channel_scaling.h"
#include "schemas/int8_bounds.h"

namespace cleave::importer {
namespace {

constexpr float kLargestInt8 = 127;

// The kernel as [outer][channel][inner]: an element's output channel.
struct ChannelLayout {
  std::size_t channels = 1;
  std::size_t inner = 1;
  [[nodiscard]] std::size_t channel_of(std::size_t element) const {
    return element / inner % channels;
  }
};

ChannelLayout channel_layout(const Node& node, std::size_t channels) {
  if (node.kind == NodeKind::kDepthwiseConv2D) return {channels, 1};
  return {channels, node.kernel.size() / channels};
}

int channel_axis(const Node& node) { return node.kind == NodeKind::kDepthwiseConv2D ? 2 : 0; }

// True when the source held the kernel as integers that ours can be as well.
bool source_is_symmetric_int8(const QuantizationParameters& q, std::size_t channels, int axis) {
  const bool fits = q.scale.size() == 1 || (q.scale.size() == channels && q.axis == axis);
  return !q.empty() && fits && q.type == QuantizationParameters::Type::kS8 &&
         std::ranges::all_of(q.zero_point, [](std::int32_t z) { return z == 0; });
}

// Folding a batch norm or a channel's factor leaves the source's scales behind.
bool on_grid(const Node& node, const ChannelLayout& layout, const std::vector<float>& scales) {
  constexpr float kSlack = 1e-3F;
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    const float steps = node.kernel[i] / scales[layout.channel_of(i)];
    if (!(std::abs(steps) <= kLargestInt8 + 1 + kSlack)) return false;
    if (std::abs(steps - std::nearbyint(steps)) > kSlack) return false;
  }
  return true;
}

std::vector<float> largest_by_channel(const Node& node, const ChannelLayout& layout) {
  std::vector<float> largest(layout.channels, 0.0F);
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    float& most = largest[layout.channel_of(i)];
    most = std::max(most, std::abs(node.kernel[i]));
  }
  return largest;
}

// Empty if the kernel is not what the source held as int8.
std::vector<float> source_scales(const Node& node, const ChannelLayout& layout) {
  const QuantizationParameters& source = node.kernel_quantization;
  if (!source_is_symmetric_int8(source, layout.channels, channel_axis(node))) return {};
  std::vector<float> scales = source.scale;
  if (scales.size() == 1) scales.assign(layout.channels, source.scale[0]);
  const bool held = std::ranges::all_of(scales, is_scale) && on_grid(node, layout, scales);
  return held ? scales : std::vector<float>{};
}

std::vector<float> kernel_scales(const Node& node, const ChannelLayout& layout) {
  if (std::vector<float> scales = source_scales(node, layout); !scales.empty()) return scales;
  std::vector<float> scales = largest_by_channel(node, layout);
  for (float& scale : scales) scale /= kLargestInt8;
  return scales;
}

float rounded(float value, float scale) {
  return std::clamp(std::nearbyint(value / scale), -128.0F, kLargestInt8);
}

// Rounding a kernel moves the mean of its outputs, by the error of each element times the mean of
// what it is multiplied with; the bias moves it back. (At the picture's rim, where some of that is
// padding, by a little too much.)
void correct_bias(Node& node, const ChannelLayout& layout, const std::vector<float>& scales,
                  std::span<const ChannelRange> input) {
  if (input.empty()) return;
  std::vector<double> lost(layout.channels, 0.0);
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    const std::size_t channel = layout.channel_of(i);
    const double held = static_cast<double>(rounded(node.kernel[i], scales[channel])) *
                        static_cast<double>(scales[channel]);
    lost[channel] +=
        (node.kernel[i] - held) *
        static_cast<double>(input[input_channel_of(node, layout.channels, input.size(), i)].mean);
  }
  if (node.bias.empty()) node.bias.assign(layout.channels, 0.0F);
  for (std::size_t c = 0; c < layout.channels; ++c) node.bias[c] += static_cast<float>(lost[c]);
}

// The correction may take a bias beyond what raise_to_least() made room for.
std::int32_t to_int32(double value) {
  using Limits = std::numeric_limits<std::int32_t>;
  return static_cast<std::int32_t>(
      std::clamp(std::nearbyint(value), double{Limits::min()}, double{Limits::max()}));
}

void store(Node& node, const ChannelLayout& layout, const std::vector<float>& scales) {
  node.int8_kernel.resize(node.kernel.size());
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.int8_kernel[i] =
        static_cast<std::int8_t>(rounded(node.kernel[i], scales[layout.channel_of(i)]));
  }
  node.kernel.clear();
  node.kernel_quantization = {.type = QuantizationParameters::Type::kS8,
                              .scale = scales,
                              .zero_point = std::vector<std::int32_t>(scales.size(), 0),
                              .axis = scales.size() == 1 ? -1 : channel_axis(node)};
}

// A channel that is all zero, or nearly, still needs a scale that the requantization can hold, and
// under which its bias is an int32. Where no number is large enough for that, whoever reads the
// file names the scales that are too far apart.
void raise_to_least(std::vector<float>& scales, const Node& node, const Int8Scale& input,
                    const Int8Scale& output) {
  constexpr float kLeastRatio = 0x1p-24F;
  constexpr float kLargestBias = 0x1p+30F;
  for (std::size_t c = 0; c < scales.size(); ++c) {
    const float bias = node.bias.empty() ? 0.0F : std::abs(node.bias[c]);
    scales[c] = std::clamp(std::max({scales[c], kLeastRatio * output.scale / input.scale,
                                     bias / (input.scale * kLargestBias)}),
                           kLeastScale, std::numeric_limits<float>::max());
  }
}

}  // namespace

bool keeps_source_integers(const Node& node, std::size_t channels) {
  return !source_scales(node, channel_layout(node, channels)).empty();
}

void quantize_convolution(Node& node, std::size_t channels,
                          std::span<const ChannelRange> input_channels, const Int8Scale& input,
                          const Int8Scale& output) {
  const ChannelLayout layout = channel_layout(node, channels);
  std::vector<float> scales = kernel_scales(node, layout);
  raise_to_least(scales, node, input, output);
  correct_bias(node, layout, scales, input_channels);
  node.int32_bias.resize(node.bias.size());
  for (std::size_t c = 0; c < node.bias.size(); ++c) {
    const double unit = static_cast<double>(input.scale) * scales[c];
    node.int32_bias[c] = to_int32(node.bias[c] / unit);
  }
  node.bias.clear();
  node.bias_quantization = {};
  store(node, layout, scales);
}

void quantize_fully_connected(Node& node, std::size_t channels,
                              std::span<const ChannelRange> input_channels) {
  const ChannelLayout layout = channel_layout(node, channels);
  std::vector<float> scales = kernel_scales(node, layout);
  for (float& scale : scales) scale = std::max(scale, 0x1p-100F);
  correct_bias(node, layout, scales, input_channels);
  store(node, layout, scales);
}

}  // namespace cleave::importer
