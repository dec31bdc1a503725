// SPDX-License-Identifier: Apache-2.0
//
// Per-op time, by a hook that the executor calls; costs two clock reads an op when set, else
// nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor.h"

namespace cleave {

// Called on the thread that runs the executor, after each op. Must not allocate or block.
class OpObserver {
 public:
  virtual ~OpObserver() = default;
  virtual void op_done(OpIndex op, std::uint64_t duration_ns) = 0;
};

// Collects durations of many runs and gives median and 95th percentile per op.
class Profiler final : public OpObserver {
 public:
  // Room for `max_runs` durations of each of `op_count` ops is allocated here.
  Profiler(std::size_t op_count, std::size_t max_runs);

  void op_done(OpIndex op, std::uint64_t duration_ns) override;

  // 0 where the op was never run. p in percent, nearest rank.
  [[nodiscard]] std::uint64_t percentile_ns(OpIndex op, unsigned p) const;
  // Of the sum of a range's ops in each run; runs that not all of them had do not count. An empty
  // range takes 0.
  [[nodiscard]] std::uint64_t percentile_ns(OpRange range, unsigned p) const;
  [[nodiscard]] std::uint64_t median_ns(OpIndex op) const { return percentile_ns(op, 50); }
  [[nodiscard]] std::size_t runs(OpIndex op) const { return counts_[op]; }

 private:
  std::size_t max_runs_;
  std::vector<std::size_t> counts_;
  std::vector<std::uint64_t> durations_ns_;  // [op][run]
};

}  // namespace cleave
