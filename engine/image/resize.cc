// SPDX-License-Identifier: Apache-2.0
#include "engine/image/resize.h"

#include <algorithm>

namespace cleave {
namespace {

// Windows begin and end in order, so the rows open while input row y passes are neighbors.
std::uint32_t most_open_rows(const TriangleFilter& filter) {
  std::uint32_t most = 1;
  std::uint32_t first = 0;
  for (std::uint32_t j = 0; j < filter.output(); ++j) {
    while (filter.window(first).end() <= filter.window(j).first) ++first;
    most = std::max(most, j - first + 1);
  }
  return most;
}

// The count of channels as a constant lets the compiler keep the sums in registers.
template <std::uint32_t kChannels>
void resize_line(const TriangleFilter& filter, const std::uint8_t* row, std::uint8_t* line) {
  for (std::uint32_t j = 0; j < filter.output(); ++j) {
    const TriangleFilter::Window window = filter.window(j);
    const std::uint8_t* pixel = row + std::size_t{window.first} * kChannels;
    std::uint32_t sum[kChannels] = {};
    for (const std::uint32_t weight : window.weights) {
      for (std::uint32_t c = 0; c < kChannels; ++c) sum[c] += weight * pixel[c];
      pixel += kChannels;
    }
    for (std::uint32_t c = 0; c < kChannels; ++c) *line++ = TriangleFilter::to_u8(sum[c]);
  }
}

}  // namespace

StreamingResizer::StreamingResizer(PictureSize input, PictureSize output, std::uint32_t channels)
    : horizontal_(input.width, output.width),
      vertical_(input.height, output.height),
      channels_(channels),
      row_values_(std::size_t{output.width} * channels),
      slots_(most_open_rows(vertical_)),
      line_(row_values_),
      sums_(row_values_ * slots_) {}

void StreamingResizer::resize_row(std::span<const std::uint8_t> row) {
  if (channels_ == 1) {
    resize_line<1>(horizontal_, row.data(), line_.data());
  } else {
    resize_line<3>(horizontal_, row.data(), line_.data());
  }
}

std::span<std::uint32_t> StreamingResizer::open_sums(std::uint32_t output_row) {
  return std::span(sums_).subspan((output_row % slots_) * row_values_, row_values_);
}

void StreamingResizer::push_row(std::span<const std::uint8_t> row, std::span<std::uint8_t> output) {
  resize_row(row);
  for (std::uint32_t j = first_open_; j < vertical_.output(); ++j) {
    const TriangleFilter::Window window = vertical_.window(j);
    if (window.first > input_row_) break;
    const std::span<std::uint32_t> sums = open_sums(j);
    const std::uint32_t weight = window.weights[input_row_ - window.first];
    for (std::size_t i = 0; i < row_values_; ++i) sums[i] += weight * line_[i];
    const bool complete = window.end() == input_row_ + 1;
    if (!complete) continue;
    std::uint8_t* out = output.data() + j * row_values_;
    std::transform(sums.begin(), sums.end(), out, TriangleFilter::to_u8);
    std::fill(sums.begin(), sums.end(), 0u);
    first_open_ = j + 1;
  }
  ++input_row_;
}

}  // namespace cleave
