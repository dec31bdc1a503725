// SPDX-License-Identifier: Apache-2.0
//
// What bench_planner times and planner_run_once executes.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/planner.h"

namespace cleave::planner::bench {

// A VGG-like table: bytes fall and memory grows with depth, each codec trades time for bytes.
inline std::vector<Candidate> table(std::uint16_t cuts, std::uint8_t codecs) {
  std::vector<Candidate> candidates;
  for (std::uint16_t k = 0; k <= cuts; ++k) {
    for (std::uint8_t codec = 0; codec < codecs; ++codec) {
      Candidate c;
      c.cut = k;
      c.split = k;
      c.codec = codec;
      c.needs_server = k < cuts;
      c.sends_jpeg = k == 0 && codec == 1;
      c.boundary_bytes = 3'211'264u / (1 + k / 4u) / (1u + codec) + k * 131u;
      c.boundary_bytes_p95 = c.boundary_bytes + c.boundary_bytes / 5;
      c.edge_latency_ns = k * 9'000'000ull + codec * 400'000ull;
      c.server_latency_ns = (cuts - k) * 700'000ull + codec * 90'000ull;
      c.edge_memory_bytes = c.edge_ram_bytes = k * k * 290'000ull;
      candidates.push_back(c);
      if (!c.needs_server) break;
    }
  }
  return candidates;
}

// Every formula has something to do: a link, energy and prices, every bound.
inline Conditions busy_conditions(std::uint64_t mbit_per_second) {
  Conditions conditions;
  conditions.link = {.bandwidth_bps = mbit_per_second * 1'000'000,
                     .rtt_ns = 5'000'000,
                     .available = true,
                     .server_queue_ns = 1'000'000};
  conditions.caps = {.ram_bytes = 1'000'000'000,
                     .storage_bytes = 1'000'000'000,
                     .deadline_ns = 60'000'000'000,
                     .energy_budget_uj = 600'000'000,
                     .cost_bound_ueur = 1'000'000'000};
  conditions.energy = {.compute_uw = 4'000'000, .radio_pj_per_byte = 600'000, .idle_uw = 1'500'000};
  conditions.prices = {
      .server_ueur_per_hour = 11'600, .egress_ueur_per_gb = 90'000, .energy_ueur_per_kwh = 200'000};
  return conditions;
}

}  // namespace cleave::planner::bench
