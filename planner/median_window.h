// SPDX-License-Identifier: Apache-2.0
//
// The median of the last few measurements: what estimates and corrections are made of. One stall
// moves nothing, and a lasting change is believed once it is the majority.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cleave::planner {

// The last kSize values, oldest overwritten. No allocation. Not safe for use by several threads.
template <std::size_t kSize>
class MedianWindow {
 public:
  void push(std::uint64_t value) {
    values_[next_] = value;
    next_ = (next_ + 1) % kSize;
    if (count_ < kSize) ++count_;
  }

  void clear() { count_ = next_ = 0; }

  [[nodiscard]] std::size_t count() const { return count_; }

  // The middle value; of an even count the smaller or the larger of the two.
  // REQUIRES: count() > 0.
  [[nodiscard]] std::uint64_t median(bool larger) const {
    std::array<std::uint64_t, kSize> sorted{};
    for (std::size_t n = 0; n < count_; ++n) {
      std::size_t place = n;
      for (; place > 0 && sorted[place - 1] > values_[n]; --place) {
        sorted[place] = sorted[place - 1];
      }
      sorted[place] = values_[n];
    }
    return sorted[larger ? count_ / 2 : (count_ - 1) / 2];
  }

 private:
  std::array<std::uint64_t, kSize> values_{};
  std::size_t count_ = 0;
  std::size_t next_ = 0;
};

}  // namespace cleave::planner
