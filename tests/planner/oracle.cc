// SPDX-License-Identifier: Apache-2.0
#include "tests/planner/oracle.h"

#include <algorithm>

namespace cleave::planner::testing {
namespace {

__extension__ using Wide = unsigned __int128;

std::uint64_t clamp(Wide value) {
  return static_cast<std::uint64_t>(std::min<Wide>(value, UINT64_MAX));
}

Wide tx_ns(const Candidate& c, const Link& link) {
  const Wide bits = static_cast<Wide>(c.boundary_bytes) * 8;
  return (bits * 1'000'000'000 + link.bandwidth_bps - 1) / link.bandwidth_bps + link.rtt_ns;
}

}  // namespace

Oracle::Oracle(const std::vector<Candidate>& candidates, const Link& link, const Caps& caps)
    : candidates_(candidates) {
  const bool server = link.available && link.bandwidth_bps > 0;
  for (const Candidate& c : candidates) {
    Expected e;
    e.memory_bytes = c.edge_memory_bytes;
    if (!c.needs_server) {
      e.latency_ns = c.edge_latency_ns;
    } else if (!server) {
      e.latency_ns = UINT64_MAX;
    } else {
      e.latency_ns =
          clamp(static_cast<Wide>(c.edge_latency_ns) + tx_ns(c, link) + c.server_latency_ns);
    }
    if (c.edge_ram_bytes > caps.ram_bytes) e.broken += 1;
    if (c.edge_storage_bytes > caps.storage_bytes) e.broken += 2;
    if (c.needs_server && !server) e.broken += 4;
    if (c.split < caps.min_split) e.broken += 8;
    e.feasible = e.broken == 0;
    expected_.push_back(e);
  }
  for (std::size_t n = 0; n < expected_.size(); ++n) {
    expected_[n].on_front = expected_[n].feasible && !beaten(n);
  }
}

Oracle::TieKey Oracle::tie_key(std::size_t n) const {
  const Candidate& c = candidates_[n];
  return {c.split, c.cut, c.boundary_bytes, c.variant, c.codec, n};
}

// Some feasible candidate is better in one objective and not worse in the other, or stands at the
// same point and comes first by the tie rule.
bool Oracle::beaten(std::size_t n) const {
  const Expected& self = expected_[n];
  for (std::size_t m = 0; m < expected_.size(); ++m) {
    const Expected& rival = expected_[m];
    if (m == n || !rival.feasible) continue;
    if (rival.latency_ns > self.latency_ns || rival.memory_bytes < self.memory_bytes) continue;
    const bool same =
        rival.latency_ns == self.latency_ns && rival.memory_bytes == self.memory_bytes;
    if (!same || tie_key(m) < tie_key(n)) return true;
  }
  return false;
}

bool Oracle::allowed(Policy policy, std::size_t n) const {
  const Candidate& c = candidates_[n];
  switch (policy) {
    case Policy::kEdgeOnly:
      return !c.needs_server;
    case Policy::kServerOnly:
      return c.needs_server && c.split == 0;
    default:
      return true;
  }
}

std::pair<bool, unsigned> Oracle::why_nothing(Policy policy) const {
  bool any = false;
  unsigned broken = 0;
  for (std::size_t n = 0; n < expected_.size(); ++n) {
    if (!allowed(policy, n)) continue;
    any = true;
    broken |= expected_[n].broken;
  }
  return {any, broken};
}

int Oracle::choice(const Request& request) const {
  std::vector<std::size_t> pool;
  for (std::size_t n = 0; n < expected_.size(); ++n) {
    if (expected_[n].feasible && allowed(request.policy, n)) pool.push_back(n);
  }
  if (pool.empty()) return -1;
  const auto latency = [&](std::size_t n) { return expected_[n].latency_ns; };
  const auto memory = [&](std::size_t n) { return expected_[n].memory_bytes; };
  const auto take = [&](const std::vector<std::size_t>& from, auto less) {
    return static_cast<int>(*std::min_element(from.begin(), from.end(), less));
  };
  const auto faster = [&](std::size_t a, std::size_t b) {
    return std::make_tuple(latency(a), tie_key(a)) < std::make_tuple(latency(b), tie_key(b));
  };
  const auto faster_then_deeper = [&](std::size_t a, std::size_t b) {
    return std::make_tuple(latency(a), ~memory(a), tie_key(a)) <
           std::make_tuple(latency(b), ~memory(b), tie_key(b));
  };
  const auto deeper_then_faster = [&](std::size_t a, std::size_t b) {
    return std::make_tuple(~memory(a), latency(a), tie_key(a)) <
           std::make_tuple(~memory(b), latency(b), tie_key(b));
  };
  if (request.policy != Policy::kLmos) return take(pool, faster);
  if (request.rank == Rank::kLiteral) {
    return request.constrained == Objective::kLatency ? take(pool, deeper_then_faster)
                                                      : take(pool, faster_then_deeper);
  }
  const std::uint64_t best = latency(static_cast<std::size_t>(take(pool, faster)));
  const std::uint64_t budget =
      request.rank == Rank::kWithinBudget
          ? request.latency_budget_ns
          : clamp(static_cast<Wide>(best) * request.latency_factor.numerator /
                  request.latency_factor.denominator);
  std::vector<std::size_t> within;
  for (const std::size_t n : pool) {
    if (latency(n) <= budget) within.push_back(n);
  }
  return within.empty() ? take(pool, faster_then_deeper) : take(within, deeper_then_faster);
}

}  // namespace cleave::planner::testing
