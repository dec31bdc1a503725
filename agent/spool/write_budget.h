// SPDX-License-Identifier: Apache-2.0
//
// What may be written to a flash card in an hour or a day: a bucket that each write fills and time
// empties, so that a quiet night does not allow for more than one budget at once, and n windows in
// a row for n + 1.
#pragma once

#include <algorithm>
#include <cstdint>

#include "planner/fixed_point.h"

namespace cleave::agent {

// What a sync costs a flash card beside the bytes themselves: the block that they are in.
inline constexpr std::uint64_t kSyncedBlockBytes = 4096;

struct WriteBudget {
  std::uint64_t bytes = 0;  // 0: no bound
  std::uint64_t window_ns = 0;
};

class WriteBucket {
 public:
  // `level` bytes are in it at `now_ns`; what is over the budget was written under another one, or
  // under none, and counts as a full bucket.
  WriteBucket(const WriteBudget& budget, std::uint64_t level, std::uint64_t now_ns)
      : budget_(budget),
        level_(budget.bytes == 0 ? level : std::min(level, budget.bytes)),
        at_ns_(now_ns) {}

  // REQUIRES: now_ns never decreases.
  void add(std::uint64_t bytes, std::uint64_t now_ns) {
    drain(now_ns);
    level_ = planner::saturating_add(level_, bytes);
  }
  [[nodiscard]] bool has_room_for(std::uint64_t bytes, std::uint64_t now_ns) {
    drain(now_ns);
    return budget_.bytes == 0 || planner::saturating_add(level_, bytes) <= budget_.bytes;
  }
  [[nodiscard]] std::uint64_t level(std::uint64_t now_ns) {
    drain(now_ns);
    return level_;
  }

 private:
  void drain(std::uint64_t now_ns) {
    if (budget_.bytes == 0 || budget_.window_ns == 0 || now_ns <= at_ns_) return;
    const std::uint64_t drained =
        planner::saturating_muldiv_down(now_ns - at_ns_, budget_.bytes, budget_.window_ns);
    if (drained == 0) return;
    level_ -= std::min(level_, drained);
    // What is less than a byte stays to be counted with the next.
    at_ns_ = std::min(
        now_ns, planner::saturating_add(at_ns_, planner::saturating_muldiv_up(
                                                    drained, budget_.window_ns, budget_.bytes)));
  }

  WriteBudget budget_;
  std::uint64_t level_;
  std::uint64_t at_ns_;
};

}  // namespace cleave::agent
