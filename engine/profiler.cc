// SPDX-License-Identifier: Apache-2.0
#include "engine/profiler.h"

#include <algorithm>

namespace cleave {

Profiler::Profiler(std::size_t op_count, std::size_t max_runs)
    : max_runs_(max_runs), counts_(op_count, 0), durations_ns_(op_count * max_runs, 0) {}

void Profiler::op_done(OpIndex op, std::uint64_t duration_ns) {
  if (op >= counts_.size() || counts_[op] >= max_runs_) return;
  durations_ns_[op * max_runs_ + counts_[op]++] = duration_ns;
}

std::uint64_t Profiler::percentile_ns(OpIndex op, unsigned p) const {
  if (op >= counts_.size() || counts_[op] == 0) return 0;
  const std::size_t count = counts_[op];
  const auto begin = durations_ns_.begin() + static_cast<std::ptrdiff_t>(op * max_runs_);
  std::vector<std::uint64_t> sorted(begin, begin + static_cast<std::ptrdiff_t>(count));
  const std::size_t rank = (count * std::min(p, 100U) + 99) / 100;
  const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(rank == 0 ? 0 : rank - 1);
  std::nth_element(sorted.begin(), nth, sorted.end());
  return *nth;
}

}  // namespace cleave
