// SPDX-License-Identifier: Apache-2.0
//
// Random planner instances full of ties, zeros, saturating values and caps that nothing meets. The
// stream of instances is the same on every machine, one without an operating system included.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "planner/fixed_point.h"
#include "planner/planner.h"
#include "planner/policies.h"

namespace cleave::planner::testing {

inline constexpr Policy kAllPolicies[] = {
    Policy::kLmos,          Policy::kLatencyOnly,    Policy::kEdgeOnly, Policy::kServerOnly,
    Policy::kServerOnlyRaw, Policy::kServerOnlyJpeg, Policy::kRandom};

// Its spans are valid until the next one is asked for.
struct Instance {
  std::span<const Candidate> candidates;
  Conditions conditions;
  Request request;  // of the LMOS policy, about any two objectives
};

class InstanceSource {
 public:
  explicit InstanceSource(std::uint64_t seed) : random_(seed) {}

  // The next instance; its candidates, at most as many as `room` holds, are written there.
  Instance next(std::span<Candidate> room) {
    constexpr std::uint64_t kMagnitudes[] = {0, 1, 1, 1, 2, 3};
    magnitude_ = kMagnitudes[random_.below(std::size(kMagnitudes))];
    const auto count = static_cast<std::size_t>(random_.below(room.size() + 1));
    for (Candidate& c : room.first(count)) c = candidate();
    return {.candidates = room.first(count), .conditions = conditions(), .request = request()};
  }

 private:
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }

  // Small for ties, real sizes, the whole range, or next to UINT64_MAX; sometimes zero in each.
  std::uint64_t value() {
    if (one_in(8)) return 0;
    const std::uint64_t magnitude = one_in(6) ? random_.below(4) : magnitude_;
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

  // What turns an amount into another unit: nothing, one for one, a real one, or anything.
  std::uint64_t price(std::uint64_t one_for_one, std::uint64_t usual) {
    if (one_in(12)) return value();
    switch (random_.below(6)) {
      case 0:
        return 0;
      case 1:
        return one_for_one;
      default:
        return 1 + random_.below(usual);
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
    c.needs_server = !one_in(8);
    c.sends_jpeg = one_in(3);
    if (one_in(4)) c.disagreement_ppm = static_cast<std::uint32_t>(random_.below(4));
    c.boundary_bytes = value();
    c.boundary_bytes_p95 = one_in(2) ? c.boundary_bytes : value();
    c.edge_latency_ns = value();
    // Usually slower alone, or it would be the best in nearly everything.
    if (!c.needs_server && !one_in(4)) {
      c.edge_latency_ns = saturating_add(c.edge_latency_ns, 5'000'000'000);
    }
    c.server_latency_ns = value();
    c.edge_memory_bytes = value();
    c.edge_ram_bytes = value();
    c.edge_storage_bytes = value();
    return c;
  }

  Conditions conditions() {
    Conditions now;
    now.link = {.bandwidth_bps = bandwidth(),
                .rtt_ns = one_in(2) ? 0 : value(),
                .available = !one_in(8),
                .server_queue_ns = one_in(2) ? 0 : value()};
    now.energy = {.compute_uw = price(1'000'000'000, 10'000'000),
                  .radio_pj_per_byte = price(1'000'000, 5'000'000),
                  .idle_uw = price(1'000'000'000, 3'000'000)};
    now.prices = {.requests = one_in(2) ? 1'000'000 : price(1, 1'000'000'000),
                  .server_ueur_per_hour = price(3'600'000'000'000, 100'000),
                  .egress_ueur_per_gb = price(1'000'000'000, 100'000),
                  .energy_ueur_per_kwh = price(3'600'000'000'000, 500'000)};
    now.caps = caps();
    now.bytes_at = one_in(2) ? Percentile::kMedian : Percentile::kP95;
    for (PictureBytes& known : picture_bytes_) {
      known = {.codec = static_cast<std::uint8_t>(random_.below(4)), .bytes = value()};
    }
    now.picture_bytes = std::span(picture_bytes_).first(small16(3));
    return now;
  }

  Caps caps() {
    Caps bounds;
    if (one_in(3)) bounds.ram_bytes = value();
    if (one_in(4)) bounds.storage_bytes = value();
    if (one_in(4)) bounds.min_split = small16(6);
    if (one_in(4)) bounds.deadline_ns = value();
    if (one_in(6)) bounds.energy_budget_uj = value();
    if (one_in(6)) bounds.cost_bound_ueur = value();
    if (one_in(2)) bounds.disagreement_ppm = static_cast<std::uint32_t>(random_.below(4));
    bounds.server_refused = one_in(12);
    return bounds;
  }

  Request request() {
    Request r;
    r.rank = static_cast<Rank>(random_.below(3));
    const auto denominator = static_cast<std::uint32_t>(1 + random_.below(10));
    r.factor = {static_cast<std::uint32_t>(denominator + random_.below(20)), denominator};
    r.budget = value();
    const std::uint64_t optimized = random_.below(4);
    const std::uint64_t constrained = (optimized + 1 + random_.below(3)) % 4;
    r.objectives = {.optimized = static_cast<Objective>(1 + optimized),
                    .constrained = static_cast<Objective>(1 + constrained)};
    r.seed = random_.next();
    return r;
  }

  SplitMix64 random_;
  std::uint64_t magnitude_ = 0;
  std::array<PictureBytes, 2> picture_bytes_{};
};

}  // namespace cleave::planner::testing
