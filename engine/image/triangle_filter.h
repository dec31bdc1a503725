// SPDX-License-Identifier: Apache-2.0
//
// The weights of one axis of a resize with the triangle filter, in whole numbers.
//
// Output pixel j stands over input position c = (j + 1/2) * in / out, in pixels. Input pixel i,
// whose middle is i + 1/2, weighs max(0, 1 - |i + 1/2 - c| / s) where s = max(1, in / out): when
// shrinking, the triangle is widened so that no input pixel is passed over. The weights of one
// output pixel are divided by their sum and rounded to multiples of 2^-22.
// Source: the rule of Pillow's BILINEAR for 8-bit pictures. Computed here with exact fractions
// instead of floating point, so that it is the same on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/resize.h"

namespace cleave {

class TriangleFilter {
 public:
  static constexpr unsigned kFractionBits = kernels::kResizeFractionBits;

  // The input pixels that an output pixel sees; weights[i] belongs to input pixel first + i.
  struct Window {
    std::uint32_t first;
    std::span<const std::uint32_t> weights;  // never empty
    [[nodiscard]] std::uint32_t end() const {
      return first + static_cast<std::uint32_t>(weights.size());
    }
  };

  // REQUIRES: 1 <= input, output <= 2^20. Memory: 4 * (max(2 * input, 2 * output) + 3 * output)
  // bytes.
  TriangleFilter(std::uint32_t input, std::uint32_t output);

  [[nodiscard]] std::uint32_t input() const { return input_; }
  [[nodiscard]] std::uint32_t output() const { return static_cast<std::uint32_t>(firsts_.size()); }

  // REQUIRES: index < output(). first and end() never decrease with the index.
  [[nodiscard]] Window window(std::uint32_t index) const {
    const std::uint32_t begin = offsets_[index];
    return {firsts_[index], std::span(weights_).subspan(begin, offsets_[index + 1] - begin)};
  }

  // All windows at once, as kernels see them; valid as long as this.
  [[nodiscard]] kernels::ResizeAxis axis() const {
    return {input_, output(), firsts_.data(), offsets_.data(), weights_.data()};
  }

  // A sum of weight * u8 to u8: rounded half up, clamped because rounded weights may add up to a
  // little more than one.
  [[nodiscard]] static std::uint8_t to_u8(std::uint32_t sum) { return kernels::round_resized(sum); }

 private:
  void append_window(std::uint32_t index, std::uint32_t output);

  std::uint32_t input_;
  std::vector<std::uint32_t> firsts_;
  std::vector<std::uint32_t> offsets_;  // output + 1 entries into weights_
  std::vector<std::uint32_t> weights_;
};

}  // namespace cleave
