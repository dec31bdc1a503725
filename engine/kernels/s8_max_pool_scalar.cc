// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "engine/kernels/kernels.h"
#include "engine/kernels/window_taps.h"

namespace cleave::kernels {

void s8_max_pool_row_scalar(const SlidingWindow& pool, const std::int8_t* picture, std::uint32_t y,
                            std::int8_t minimum, std::int8_t maximum, std::int8_t* row) {
  const std::size_t channels = pool.input.channels();
  for (std::uint32_t x = 0; x < pool.output.width(); ++x) {
    std::int8_t* most = row + x * channels;
    std::fill_n(most, channels, std::numeric_limits<std::int8_t>::min());
    for_each_pixel(pool, picture, y, x, [&](const std::int8_t* pixel) {
      for (std::size_t c = 0; c < channels; ++c) most[c] = std::max(most[c], pixel[c]);
    });
    for (std::size_t c = 0; c < channels; ++c) {
      most[c] = std::min(std::max(most[c], minimum), maximum);
    }
  }
}

}  // namespace cleave::kernels
