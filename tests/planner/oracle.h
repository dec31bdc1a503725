// SPDX-License-Identifier: Apache-2.0
//
// The planner's definition, written down as plainly as possible and independently of its code:
// every pair compared, 128-bit sums, sets where the planner has a sorted front. Only for hosts
// with a 128-bit type.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "planner/planner.h"

namespace cleave::planner::testing {

class Oracle {
 public:
  Oracle(const std::vector<Candidate>& candidates, const Link& link, const Caps& caps);

  struct Expected {
    bool feasible = false;
    std::uint64_t latency_ns = 0;
    std::uint64_t memory_bytes = 0;
    unsigned broken = 0;
    bool on_front = false;
  };
  const std::vector<Expected>& expected() const { return expected_; }

  // The choice of plan(), or -1. Not for Policy::kRandom.
  int choice(const Request& request) const;

  // Whether some candidate may be chosen under the policy at all, and the bounds those break.
  std::pair<bool, unsigned> why_nothing(Policy policy) const;

 private:
  using TieKey = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t, std::uint32_t,
                            std::uint32_t, std::size_t>;
  TieKey tie_key(std::size_t n) const;
  bool allowed(Policy policy, std::size_t n) const;
  bool beaten(std::size_t n) const;

  std::vector<Candidate> candidates_;
  std::vector<Expected> expected_;
};

}  // namespace cleave::planner::testing
