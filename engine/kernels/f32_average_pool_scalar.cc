// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/kernels/kernels.h"
#include "engine/kernels/window_taps.h"

namespace cleave::kernels {

void f32_average_pool_row_scalar(const SlidingWindow& pool, const float* picture, std::uint32_t y,
                                 float minimum, float maximum, float* row) {
  const std::size_t channels = pool.input.channels();
  for (std::uint32_t x = 0; x < pool.output.width(); ++x) {
    float* mean = row + x * channels;
    std::fill_n(mean, channels, 0.0F);
    std::uint32_t count = 0;
    for_each_pixel(pool, picture, y, x, [&](const float* pixel) {
      for (std::size_t c = 0; c < channels; ++c) mean[c] += pixel[c];
      ++count;
    });
    const float scale = 1.0F / static_cast<float>(count);
    for (std::size_t c = 0; c < channels; ++c) {
      mean[c] = std::min(std::max(mean[c] * scale, minimum), maximum);
    }
  }
}

}  // namespace cleave::kernels
