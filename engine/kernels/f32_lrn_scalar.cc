// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "engine/kernels/kernels.h"

namespace cleave::kernels {

void f32_lrn_scalar(const LrnConstants& lrn, const float* input, std::size_t pixels,
                    std::size_t channels, float* output) {
  const std::size_t before = (lrn.size - 1) / 2;
  const std::size_t after = lrn.size - 1 - before;
  const float scale = lrn.alpha / static_cast<float>(lrn.size);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    const float* x = input + pixel * channels;
    float* y = output + pixel * channels;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t first = c < before ? 0 : c - before;
      const std::size_t last = std::min(c + after, channels - 1);
      // A running sum would be cheaper, but its rounding would depend on all channels before.
      float sum = 0;
      for (std::size_t i = first; i <= last; ++i) sum += x[i] * x[i];
      y[c] = x[c] / std::pow(lrn.bias + scale * sum, lrn.beta);
    }
  }
}

}  // namespace cleave::kernels
