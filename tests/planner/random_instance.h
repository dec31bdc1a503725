// SPDX-License-Identifier: Apache-2.0
//
// Random planner instances full of ties, zeros, saturating values and caps that nothing meets. The
// stream of instances is the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/planner.h"
#include "planner/policies.h"

namespace cleave::planner::testing {

struct Instance {
  std::vector<Candidate> candidates;
  Link link;
  Caps caps;
  Request request;  // of the LMOS policy
};

class InstanceSource {
 public:
  explicit InstanceSource(std::uint64_t seed) : random_(seed) {}

  // The next instance; at most `largest` candidates.
  Instance next(std::uint64_t largest) {
    magnitude_ = random_.below(4);
    Instance instance;
    const std::uint64_t count = random_.below(largest + 1);
    for (std::uint64_t n = 0; n < count; ++n) instance.candidates.push_back(candidate());
    instance.link = {.bandwidth_bps = bandwidth(),
                     .rtt_ns = random_.below(2) == 0 ? 0 : value(),
                     .available = random_.below(8) != 0};
    if (random_.below(2) == 0) instance.caps.ram_bytes = value();
    if (random_.below(3) == 0) instance.caps.storage_bytes = value();
    if (random_.below(4) == 0) instance.caps.min_split = small16(6);
    instance.request = request();
    return instance;
  }

 private:
  // Small for ties, real sizes, the whole range, or next to UINT64_MAX; sometimes zero in each.
  std::uint64_t value() {
    if (random_.below(8) == 0) return 0;
    const std::uint64_t magnitude = random_.below(6) == 0 ? random_.below(4) : magnitude_;
    switch (magnitude) {
      case 0:
        return random_.below(5);
      case 1:
        return random_.below(3'000'000'000);
      case 2:
        return random_.next() >> random_.below(64);
      default:
        return UINT64_MAX - random_.below(5);
    }
  }

  std::uint64_t bandwidth() {
    switch (random_.below(4)) {
      case 0:
        return random_.below(3);
      case 1:
        return 8'000'000'000;  // one byte a nanosecond: more ties
      default:
        return 500'000 + random_.below(200'000'000);
    }
  }

  std::uint16_t small16(std::uint64_t bound) {
    return static_cast<std::uint16_t>(random_.below(bound));
  }

  Candidate candidate() {
    Candidate c;
    c.split = small16(6);
    c.cut = static_cast<std::uint32_t>(c.split + random_.below(2));
    c.codec = static_cast<std::uint8_t>(random_.below(3));
    c.variant = static_cast<std::uint8_t>(random_.below(2));
    c.needs_server = random_.below(5) != 0;
    c.boundary_bytes = value();
    c.edge_latency_ns = value();
    c.server_latency_ns = value();
    c.edge_memory_bytes = value();
    c.edge_ram_bytes = value();
    c.edge_storage_bytes = value();
    return c;
  }

  Request request() {
    Request r;
    r.rank = static_cast<Rank>(random_.below(3));
    const auto denominator = static_cast<std::uint32_t>(1 + random_.below(10));
    r.latency_factor = {static_cast<std::uint32_t>(denominator + random_.below(20)), denominator};
    r.latency_budget_ns = value();
    r.constrained = random_.below(2) == 0 ? Objective::kLatency : Objective::kEdgeMemory;
    r.seed = random_.next();
    return r;
  }

  SplitMix64 random_;
  std::uint64_t magnitude_ = 0;
};

}  // namespace cleave::planner::testing
