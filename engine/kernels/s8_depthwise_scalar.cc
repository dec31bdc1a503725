// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "engine/kernels/depthwise.h"

namespace cleave::kernels {
namespace {

std::int32_t sum_of(const S8DepthwiseLayer& layer, const std::int8_t* const* taps,
                    std::size_t offset, std::size_t c) {
  const std::int16_t* weights = layer.weights +
                                c / kDepthwiseChannels * layer.tap_pairs * 2 * kDepthwiseChannels +
                                c % kDepthwiseChannels * 2;
  auto sum = static_cast<std::uint32_t>(layer.bias[c]);  // wraps, as vectors do
  for (std::size_t pair = 0; pair < layer.tap_pairs; ++pair) {
    const std::int16_t* both = weights + pair * 2 * kDepthwiseChannels;
    sum += static_cast<std::uint32_t>(both[0] * taps[2 * pair][offset + c] +
                                      both[1] * taps[2 * pair + 1][offset + c]);
  }
  return static_cast<std::int32_t>(sum);
}

}  // namespace

void s8_depthwise_scalar(const S8DepthwiseLayer& layer, const std::int8_t* const* taps,
                         std::size_t step, std::size_t pixels, std::int8_t* output) {
  const auto least = static_cast<float>(layer.minimum - layer.zero_point);
  const auto most = static_cast<float>(layer.maximum - layer.zero_point);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    for (std::size_t c = 0; c < layer.channels; ++c) {
      const auto sum = static_cast<float>(sum_of(layer, taps, pixel * step, c));
      const float scaled = std::clamp(sum * layer.scale[c], least, most);
      *output++ = static_cast<std::int8_t>(static_cast<std::int32_t>(std::nearbyint(scaled)) +
                                           layer.zero_point);
    }
  }
}

}  // namespace cleave::kernels
