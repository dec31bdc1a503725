// SPDX-License-Identifier: Apache-2.0
//
// Whether what a process holds stays what it is: the rule of the soak.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace cleave::test {

struct Flatness {
  std::uint64_t early = 0, late = 0;  // medians of the second and the last quarter
  bool is_flat = true;
};

inline std::uint64_t median_of(std::span<const std::uint64_t> samples) {
  std::vector<std::uint64_t> sorted(samples.begin(), samples.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

// `samples` in the order they were taken, at least 8. The first quarter is warming up and not
// judged. Flat is what is in its last quarter, by the median, at most `room` or `percent` of it
// above its second quarter, whichever is more.
inline Flatness judge_flatness(std::span<const std::uint64_t> samples, std::uint64_t room,
                               std::uint64_t percent) {
  const std::size_t quarter = samples.size() / 4;
  Flatness flatness;
  flatness.early = median_of(samples.subspan(quarter, quarter));
  flatness.late = median_of(samples.last(quarter));
  const std::uint64_t allowed = std::max(room, flatness.early / 100 * percent);
  flatness.is_flat = flatness.late <= flatness.early + allowed;
  return flatness;
}

}  // namespace cleave::test
