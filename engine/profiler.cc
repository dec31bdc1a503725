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
  return percentile_ns(OpRange{op, op + 1}, p);
}

std::uint64_t Profiler::percentile_ns(OpRange range, unsigned p) const {
  if (range.first >= range.last || range.last > counts_.size()) return 0;
  std::size_t runs = max_runs_;
  for (OpIndex op = range.first; op < range.last; ++op) runs = std::min(runs, counts_[op]);
  if (runs == 0) return 0;
  std::vector<std::uint64_t> sums(runs, 0);
  for (OpIndex op = range.first; op < range.last; ++op) {
    for (std::size_t run = 0; run < runs; ++run) sums[run] += durations_ns_[op * max_runs_ + run];
  }
  const std::size_t rank = (runs * std::min(p, 100U) + 99) / 100;
  const auto nth = sums.begin() + static_cast<std::ptrdiff_t>(rank == 0 ? 0 : rank - 1);
  std::nth_element(sums.begin(), nth, sums.end());
  return *nth;
}

}  // namespace cleave
