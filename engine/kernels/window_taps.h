// SPDX-License-Identifier: Apache-2.0
//
// Which elements of the input a window sees.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"

namespace cleave::kernels {

// Calls visit(position) for the taps of the window at `index` that lie on an axis of `input`
// elements; those in the padding are left out.
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

// Calls visit(pixel) with the channels of each input pixel that the window of output pixel (y, x)
// sees, row by row.
template <typename Element, typename Visit>
void for_each_pixel(const SlidingWindow& slide, const Element* picture, std::uint32_t y,
                    std::uint32_t x, const Visit& visit) {
  const fbs::Window& w = slide.window;
  const fbs::Padding& p = slide.padding;
  const auto visit_row = [&](std::size_t row) {
    const Element* pixels = picture + row * slide.input.width() * slide.input.channels();
    for_each_tap(x, w.stride_width(), w.dilation_width(), w.width(), p.left(), slide.input.width(),
                 [&](std::size_t column) { visit(pixels + column * slide.input.channels()); });
  };
  for_each_tap(y, w.stride_height(), w.dilation_height(), w.height(), p.top(), slide.input.height(),
               visit_row);
}

}  // namespace cleave::kernels
