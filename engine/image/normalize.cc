// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "engine/image/picture.h"

namespace cleave {

void normalize(std::span<const std::uint8_t> pixels, const fbs::Preprocessing& preprocessing,
               std::uint32_t channels, std::span<float> input) {
  for (std::uint32_t c = 0; c < channels; ++c) {
    const float mean = preprocessing.mean()->Get(c);
    const float deviation = preprocessing.deviation()->Get(c);
    std::array<float, 256> value_of;
    for (std::size_t u = 0; u < value_of.size(); ++u) {
      value_of[u] = (static_cast<float>(u) - mean) / deviation;
    }
    for (std::size_t i = c; i < pixels.size(); i += channels) input[i] = value_of[pixels[i]];
  }
}

}  // namespace cleave
