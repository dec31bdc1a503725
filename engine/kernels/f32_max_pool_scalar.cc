// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "engine/kernels/kernels.h"

namespace cleave::kernels {
namespace {

// Calls `visit` with each position of the window at `index` that lies on the input's axis.
template <typename Visit>
void for_each_tap(std::uint32_t index, std::uint32_t stride, std::uint32_t dilation,
                  std::uint32_t window, std::uint32_t before, std::uint32_t input,
                  const Visit& visit) {
  const std::int64_t start = std::int64_t{index} * stride - before;
  for (std::uint32_t tap = 0; tap < window; ++tap) {
    const std::int64_t position = start + std::int64_t{tap} * dilation;
    if (position >= 0 && position < input) visit(static_cast<std::size_t>(position));
  }
}

}  // namespace

void f32_max_pool_row_scalar(const SlidingWindow& pool, const float* picture, std::uint32_t y,
                             float minimum, float maximum, float* row) {
  const std::size_t channels = pool.input.channels();
  const fbs::Window& w = pool.window;
  for (std::uint32_t x = 0; x < pool.output.width(); ++x) {
    float* pixel = row + x * channels;
    std::fill_n(pixel, channels, -std::numeric_limits<float>::infinity());
    for_each_tap(y, w.stride_height(), w.dilation_height(), w.height(), pool.padding.top(),
                 pool.input.height(), [&](std::size_t in_y) {
      for_each_tap(x, w.stride_width(), w.dilation_width(), w.width(), pool.padding.left(),
                   pool.input.width(), [&](std::size_t in_x) {
        const float* tap = picture + (in_y * pool.input.width() + in_x) * channels;
        for (std::size_t c = 0; c < channels; ++c) pixel[c] = std::max(pixel[c], tap[c]);
      });
    });
    for (std::size_t c = 0; c < channels; ++c) {
      pixel[c] = std::min(std::max(pixel[c], minimum), maximum);
    }
  }
}

}  // namespace cleave::kernels
