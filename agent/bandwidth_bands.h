// SPDX-License-Identifier: Apache-2.0
//
// Which way of answering is the fastest at which uplink: of every split that the caps allow, and of
// sending the picture as `run` does. It shows at a glance where a split wins, and that on many
// links none does.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/baselines.h"
#include "agent/split_planner.h"

namespace cleave::agent {

struct Way {
  std::string description;  // for a person
  LinkCost cost;
};

// `way` is an index into the ways given; it is the fastest from `from_bps` to where the next band,
// or nothing, begins.
struct BandwidthBand {
  std::size_t way = 0;
  std::uint64_t from_bps = 0;
};

// The lower envelope of fixed_ns + bytes * 8 / bandwidth over every bandwidth, slowest uplink
// first; the first band begins at 0. Of two that are always equal the first one counts.
[[nodiscard]] std::vector<BandwidthBand> bandwidth_bands(std::span<const Way> ways);

// The rows of a plan that no bound but those of the rate forbids (deadline, energy budget and cost
// bound depend on it).
[[nodiscard]] std::vector<Way> list_ways(const Plan& plan, const planner::Link& link);

// "device only below 1.100 Mbit/s, server only (...) above"
[[nodiscard]] std::string bands_text(std::span<const Way> ways,
                                     std::span<const BandwidthBand> bands);

}  // namespace cleave::agent
