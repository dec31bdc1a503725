// SPDX-License-Identifier: Apache-2.0
//
// The planner's definition, written down as plainly as possible and independently of its code:
// every pair compared, 128-bit sums, sets where the planner has a sorted front. Only for hosts
// with a 128-bit type.
#pragma once

#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "planner/planner.h"

namespace cleave::planner::testing {

class Oracle {
 public:
  // Keeps references to both.
  Oracle(std::span<const Candidate> candidates, const Conditions& conditions);

  struct Expected {
    std::uint64_t latency_ns = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t energy_uj = 0;
    std::uint64_t cost_ueur = 0;
    std::uint64_t tx_ns = 0;
    unsigned broken = 0;
  };
  const std::vector<Expected>& expected() const { return expected_; }
  std::uint64_t value(std::size_t n, Objective objective) const;

  // The front of two objectives, from the best in the constrained one to the best in the other.
  std::vector<CandidateIndex> front(const ObjectivePair& objectives) const;

  // The choice of plan(), or -1. Not for Policy::kRandom.
  int choice(const Request& request) const;

  // Whether some candidate may be chosen under the policy at all, and the bounds those break.
  std::pair<bool, unsigned> why_nothing(Policy policy) const;

 private:
  using TieKey = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t, std::uint32_t,
                            std::uint32_t, std::uint32_t, std::size_t>;
  TieKey tie_key(std::size_t n) const;
  Expected expect(const Candidate& candidate, const Conditions& conditions) const;
  bool allowed(Policy policy, std::size_t n) const;
  bool better(std::size_t a, std::size_t b, Objective objective) const;
  bool beaten(std::size_t n, const ObjectivePair& objectives) const;
  bool within(std::size_t n, Objective objective, std::uint64_t budget) const;
  bool before(std::size_t a, std::size_t b, Objective first, Objective second) const;

  std::span<const Candidate> candidates_;
  std::vector<Expected> expected_;
};

}  // namespace cleave::planner::testing
