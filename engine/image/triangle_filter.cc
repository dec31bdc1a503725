// SPDX-License-Identifier: Apache-2.0
#include "engine/image/triangle_filter.h"

#include <algorithm>
#include <cstdlib>

namespace cleave {

TriangleFilter::TriangleFilter(std::uint32_t input, std::uint32_t output) : input_(input) {
  firsts_.reserve(output);
  offsets_.reserve(std::size_t{output} + 1);
  weights_.reserve(std::size_t{2} * std::max(input, output) + output);
  offsets_.push_back(0);
  for (std::uint32_t j = 0; j < output; ++j) append_window(j, output);
}

// Distances are in units of 1 / (2 * output) input pixels, which makes every term of the rule a
// whole number: pixel i is at (2i + 1) * output, the middle of the window at (2j + 1) * input, and
// the triangle reaches 2 * max(input, output) to either side.
void TriangleFilter::append_window(std::uint32_t index, std::uint32_t output) {
  const std::int64_t middle = (std::int64_t{2} * index + 1) * input_;
  const std::int64_t reach = std::int64_t{2} * std::max(input_, output);
  const auto height_at = [&](std::uint32_t pixel) {
    return reach - std::abs((std::int64_t{2} * pixel + 1) * output - middle);
  };
  std::uint32_t first = firsts_.empty() ? 0 : firsts_.back();
  while (height_at(first) <= 0) ++first;
  std::uint64_t total = 0;
  std::uint32_t end = first;
  for (; end < input_ && height_at(end) > 0; ++end) {
    total += static_cast<std::uint64_t>(height_at(end));
  }
  for (std::uint32_t i = first; i < end; ++i) {
    const std::uint64_t scaled = static_cast<std::uint64_t>(height_at(i)) << (kFractionBits + 1);
    weights_.push_back(static_cast<std::uint32_t>((scaled / total + 1) / 2));
  }
  firsts_.push_back(first);
  offsets_.push_back(static_cast<std::uint32_t>(weights_.size()));
}

}  // namespace cleave
