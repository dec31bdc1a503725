// SPDX-License-Identifier: Apache-2.0
//
// What may be written to a flash card in an hour or a day: a bucket that each write fills and time
// empties, so that a quiet night does not allow for more than one budget at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "planner/fixed_point.h"

namespace cleave::agent {

struct WriteBudget {
  std::uint64_t bytes = 0;  // 0: no bound
  std::uint64_t window_ns = 0;
};

class WriteBucket {
 public:
  // `level` bytes are in it at `now_ns`.
  WriteBucket(const WriteBudget& budget, std::uint64_t level, std::uint64_t now_ns)
      : budget_(budget), level_(level), at_ns_(now_ns) {}

  // REQUIRES: now_ns never decreases.
  void add(std::uint64_t bytes, std::uint64_t now_ns) {
    drain(now_ns);
    level_ = planner::saturating_add(level_, bytes);
  }
  [[nodiscard]] bool has_room_for(std::uint64_t bytes, std::uint64_t now_ns) {
    drain(now_ns);
    return budget_.bytes == 0 || planner::saturating_add(level_, bytes) <= budget_.bytes;
  }
  [[nodiscard]] std::uint64_t level() const { return level_; }

 private:
  void drain(std::uint64_t now_ns) {
    if (budget_.bytes == 0 || budget_.window_ns == 0 || now_ns <= at_ns_) return;
    const std::uint64_t drained =
        planner::saturating_muldiv_down(now_ns - at_ns_, budget_.bytes, budget_.window_ns);
    if (drained == 0) return;  // less than a byte stays to be counted with the next
    level_ -= std::min(level_, drained);
    at_ns_ = now_ns;
  }

  WriteBudget budget_;
  std::uint64_t level_;
  std::uint64_t at_ns_;
};

}  // namespace cleave::agent
