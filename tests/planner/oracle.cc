// SPDX-License-Identifier: Apache-2.0
#include "tests/planner/oracle.h"

#include <algorithm>

namespace cleave::planner::testing {
namespace {

__extension__ using Wide = unsigned __int128;

std::uint64_t clamp(Wide value) {
  return static_cast<std::uint64_t>(std::min<Wide>(value, UINT64_MAX));
}

Wide quotient_up(Wide dividend, Wide divisor) {
  return dividend / divisor + (dividend % divisor == 0 ? 0 : 1);
}

// So much of something at that price; what is beyond counting costs more than can be counted.
Wide priced(std::uint64_t amount, std::uint64_t price, std::uint64_t unit) {
  if (price == 0) return 0;
  if (amount == UINT64_MAX) return UINT64_MAX;
  return clamp(quotient_up(Wide{amount} * price, unit));
}

Wide bytes_of(const Candidate& c, const Conditions& now) {
  if (c.split == 0) {
    for (const PictureBytes& known : now.picture_bytes) {
      if (known.codec == c.codec) return known.bytes;
    }
  }
  if (now.bytes_at == Percentile::kMedian) return c.boundary_bytes;
  return std::max(c.boundary_bytes, c.boundary_bytes_p95);
}

}  // namespace

Oracle::Oracle(std::span<const Candidate> candidates, const Conditions& conditions)
    : candidates_(candidates) {
  for (const Candidate& c : candidates) expected_.push_back(expect(c, conditions));
}

Oracle::Expected Oracle::expect(const Candidate& c, const Conditions& now) const {
  Expected e;
  e.memory_bytes = c.edge_memory_bytes;
  const Wide n = now.prices.requests;
  const auto paid_energy = [&] {
    return priced(clamp(n * e.energy_uj), now.prices.energy_ueur_per_kwh, 3'600'000'000'000);
  };
  const Wide compute_uj = priced(c.edge_latency_ns, now.energy.compute_uw, 1'000'000'000);
  const bool server = now.link.available && now.link.bandwidth_bps > 0;
  if (!c.needs_server) {
    e.latency_ns = c.edge_latency_ns;
    e.energy_uj = clamp(compute_uj);
    e.cost_ueur = clamp(paid_energy());
  } else if (!server) {
    e.latency_ns = e.energy_uj = e.cost_ueur = e.tx_ns = UINT64_MAX;
  } else {
    const Wide bytes = bytes_of(c, now);
    e.tx_ns =
        clamp(quotient_up(bytes * 8 * 1'000'000'000, now.link.bandwidth_bps) + now.link.rtt_ns);
    const std::uint64_t wait =
        clamp(Wide{e.tx_ns} + now.link.server_queue_ns + c.server_latency_ns);
    e.latency_ns = clamp(Wide{wait} + c.edge_latency_ns);
    e.energy_uj = clamp(compute_uj + priced(clamp(bytes), now.energy.radio_pj_per_byte, 1'000'000) +
                        priced(wait, now.energy.idle_uw, 1'000'000'000));
    e.cost_ueur = clamp(
        priced(clamp(n * c.server_latency_ns), now.prices.server_ueur_per_hour, 3'600'000'000'000) +
        priced(clamp(n * bytes), now.prices.egress_ueur_per_gb, 1'000'000'000) + paid_energy());
  }
  if (c.edge_ram_bytes > now.caps.ram_bytes) e.broken += 1;
  if (c.edge_storage_bytes > now.caps.storage_bytes) e.broken += 2;
  if (c.needs_server && !server && !now.caps.server_refused) e.broken += 4;
  if (c.split < now.caps.min_split) e.broken += 8;
  if (c.needs_server && now.caps.server_refused) e.broken += 16;
  if (c.disagreement_ppm > now.caps.disagreement_ppm) e.broken += 32;
  if (c.needs_server && !server) return e;
  if (e.latency_ns > now.caps.deadline_ns) e.broken += 64;
  if (e.energy_uj > now.caps.energy_budget_uj) e.broken += 128;
  if (e.cost_ueur > now.caps.cost_bound_ueur) e.broken += 256;
  return e;
}

std::uint64_t Oracle::value(std::size_t n, Objective objective) const {
  const Expected& e = expected_[n];
  if (objective == Objective::kLatency) return e.latency_ns;
  if (objective == Objective::kEdgeMemory) return e.memory_bytes;
  return objective == Objective::kEnergy ? e.energy_uj : e.cost_ueur;
}

Oracle::TieKey Oracle::tie_key(std::size_t n) const {
  const Candidate& c = candidates_[n];
  return {c.split, c.cut, c.boundary_bytes, c.disagreement_ppm, c.variant, c.codec, n};
}

bool Oracle::better(std::size_t a, std::size_t b, Objective objective) const {
  return objective == Objective::kEdgeMemory ? value(a, objective) > value(b, objective)
                                             : value(a, objective) < value(b, objective);
}

// Better in the first, else in the second, else by the tie rule.
bool Oracle::before(std::size_t a, std::size_t b, Objective first, Objective second) const {
  for (const Objective objective : {first, second}) {
    if (better(a, b, objective)) return true;
    if (better(b, a, objective)) return false;
  }
  return tie_key(a) < tie_key(b);
}

// Some feasible candidate is better in one objective and not worse in the other, or stands at the
// same point and comes first by the tie rule.
bool Oracle::beaten(std::size_t n, const ObjectivePair& objectives) const {
  const auto& [i, j] = objectives;
  for (std::size_t m = 0; m < expected_.size(); ++m) {
    if (m == n || expected_[m].broken != 0) continue;
    if (better(n, m, i) || better(n, m, j)) continue;
    if (better(m, n, i) || better(m, n, j) || tie_key(m) < tie_key(n)) return true;
  }
  return false;
}

std::vector<CandidateIndex> Oracle::front(const ObjectivePair& objectives) const {
  std::vector<CandidateIndex> front;
  for (std::size_t n = 0; n < expected_.size(); ++n) {
    if (expected_[n].broken == 0 && !beaten(n, objectives)) {
      front.push_back(static_cast<CandidateIndex>(n));
    }
  }
  std::sort(front.begin(), front.end(), [&](CandidateIndex a, CandidateIndex b) {
    return better(a, b, objectives.constrained);
  });
  return front;
}

bool Oracle::allowed(Policy policy, std::size_t n) const {
  const Candidate& c = candidates_[n];
  const bool whole = c.needs_server && c.split == 0;
  if (policy == Policy::kEdgeOnly) return !c.needs_server;
  if (policy == Policy::kServerOnly) return whole;
  if (policy == Policy::kServerOnlyRaw) return whole && !c.sends_jpeg;
  if (policy == Policy::kServerOnlyJpeg) return whole && c.sends_jpeg;
  return true;
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

bool Oracle::within(std::size_t n, Objective objective, std::uint64_t budget) const {
  return objective == Objective::kEdgeMemory ? value(n, objective) >= budget
                                             : value(n, objective) <= budget;
}

int Oracle::choice(const Request& request) const {
  std::vector<std::size_t> pool;
  for (std::size_t n = 0; n < expected_.size(); ++n) {
    if (expected_[n].broken == 0 && allowed(request.policy, n)) pool.push_back(n);
  }
  if (pool.empty()) return -1;
  const auto first = [&](const std::vector<std::size_t>& from, Objective a, Objective b) {
    return *std::min_element(from.begin(), from.end(),
                             [&](std::size_t x, std::size_t y) { return before(x, y, a, b); });
  };
  if (request.policy != Policy::kLmos) {
    return static_cast<int>(first(pool, Objective::kLatency, Objective::kLatency));
  }
  const auto& [i, j] = request.objectives;
  if (request.rank == Rank::kLiteral) return static_cast<int>(first(pool, i, j));
  std::uint64_t budget = request.budget;
  if (request.rank == Rank::kWithinFactor) {
    const Wide best = value(first(pool, j, i), j);
    const Wide numerator = request.factor.numerator;
    const Wide denominator = request.factor.denominator;
    budget = clamp(j == Objective::kEdgeMemory ? quotient_up(best * denominator, numerator)
                                               : best * numerator / denominator);
  }
  std::vector<std::size_t> affordable;
  for (const std::size_t n : pool) {
    if (within(n, j, budget)) affordable.push_back(n);
  }
  return static_cast<int>(affordable.empty() ? first(pool, j, i) : first(affordable, i, j));
}

}  // namespace cleave::planner::testing
