// SPDX-License-Identifier: Apache-2.0
//
// Whether a new decision is worth a switch. Changing the split costs: the device prepares another
// head, and the server another tail. Link estimates jitter, and a planner that follows each of
// them flaps between neighbours.
#pragma once

#include <cstdint>
#include <span>

#include "planner/planner.h"

namespace cleave::planner {

struct SwitchRule {
  std::uint64_t dwell_ns = 0;             // least time between two voluntary switches
  std::uint64_t switching_cost_ns = 0;    // once per switch: time lost preparing head and tail
  std::uint32_t requests_per_switch = 1;  // requests expected to share that cost; 0 counts as 1
};

// The choice in force. In order, settle() decides:
//   1. no choice in force, or it became infeasible: the proposal, at once;
//   2. the proposal is the choice in force: keep;
//   3. less than dwell_ns since the last change: keep;
//   4. the proposal is faster: switch if what it saves over requests_per_switch requests exceeds
//      switching_cost_ns, or if it gains in what is optimized;
//   5. the proposal is not faster: switch if its latency and its share of the switching cost are
//      together within the decision's bound on the latency (a pick of the front, and a decision
//      that bounds another objective, have none), and if it gains in what is optimized. Within a
//      bound on the latency any gain of edge memory will do: the split is deeper. One that
//      optimizes the latency within another bound is taken.
// To gain is to be better by more than 1/kLeastGain of what the choice in force has. A decision for
// the least latency optimizes nothing else.
// Not safe for use by several threads at once.
class Hysteresis {
 public:
  static constexpr std::uint64_t kLeastGain = 32;

  explicit Hysteresis(const SwitchRule& rule) : rule_(rule) {}

  // The candidate to use now. `proposed` and `scores` come from one plan() over the same candidates
  // as the call before (after a change of the table: reset()). `now_ns` is a monotonic clock; a
  // value before the last change counts as no time passed. Returns kNoCandidate, and holds nothing,
  // when nothing was proposed and the choice in force is infeasible; an infeasible proposal leaves
  // a feasible choice in force.
  CandidateIndex settle(const Decision& proposed, std::span<const Score> scores,
                        std::uint64_t now_ns);

  // Forgets the choice in force: the next proposal is taken at once. For a new table or Request.
  void reset() { held_ = kNoCandidate; }

 private:
  [[nodiscard]] bool worth_a_switch(const Decision& proposed, std::span<const Score> scores,
                                    std::uint64_t now_ns) const;

  SwitchRule rule_;
  CandidateIndex held_ = kNoCandidate;
  std::uint64_t held_since_ns_ = 0;
};

}  // namespace cleave::planner
