// SPDX-License-Identifier: Apache-2.0
#include "engine/image/resize.h"

#include <algorithm>

#include "engine/kernels/dispatch.h"

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

void resize_gray_line(const TriangleFilter& filter, const std::uint8_t* row, std::uint8_t* line) {
  for (std::uint32_t j = 0; j < filter.output(); ++j) {
    const TriangleFilter::Window window = filter.window(j);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < window.weights.size(); ++i) {
      sum += window.weights[i] * row[window.first + i];
    }
    line[j] = TriangleFilter::to_u8(sum);
  }
}

}  // namespace

StreamingResizer::StreamingResizer(PictureSize input, PictureSize output, std::uint32_t channels)
    : horizontal_(input.width, output.width),
      vertical_(input.height, output.height),
      channels_(channels),
      kernels_(kernels::active_kernels()),
      row_values_(std::size_t{output.width} * channels),
      slots_(most_open_rows(vertical_)),
      line_(row_values_),
      sums_(row_values_ * slots_) {}

void StreamingResizer::resize_row(std::span<const std::uint8_t> row) {
  if (channels_ == 1) {
    resize_gray_line(horizontal_, row.data(), line_.data());
  } else {
    kernels_.resize_line(horizontal_.axis(), row.data(), line_.data());
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
    kernels_.weigh_line(weight, line_.data(), row_values_, sums.data());
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
