// SPDX-License-Identifier: Apache-2.0
//
// Small builders for planner tests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "planner/cost_model.h"
#include "planner/planner.h"
#include "planner/score.h"

namespace cleave::planner::testing {

inline constexpr std::uint64_t kMax = UINT64_MAX;
inline constexpr std::uint64_t kMillisecond = 1'000'000;
inline constexpr std::uint64_t kMiB = 1 << 20;

inline Link link_of(std::uint64_t bandwidth_bps, std::uint64_t rtt_ns = 0) {
  return {.bandwidth_bps = bandwidth_bps, .rtt_ns = rtt_ns, .available = true};
}

// A candidate that runs wholly on the device: its latency does not depend on the link.
inline Candidate edge_candidate(std::uint16_t split, std::uint64_t latency_ns,
                                std::uint64_t memory_bytes) {
  Candidate c;
  c.cut = split;
  c.split = split;
  c.needs_server = false;
  c.edge_latency_ns = latency_ns;
  c.edge_memory_bytes = memory_bytes;
  c.edge_ram_bytes = memory_bytes;
  return c;
}

// A candidate that sends `bytes` and then waits `server_ns`.
inline Candidate split_candidate(std::uint16_t split, std::uint64_t edge_ns, std::uint64_t bytes,
                                 std::uint64_t server_ns, std::uint64_t memory_bytes) {
  Candidate c = edge_candidate(split, edge_ns, memory_bytes);
  c.needs_server = true;
  c.boundary_bytes = bytes;
  c.server_latency_ns = server_ns;
  return c;
}

inline Conditions conditions_of(const Link& link, const Caps& caps = {}) {
  return {.link = link, .caps = caps};
}

// plan() with outputs of its own.
struct Planned {
  Planned(std::span<const Candidate> candidates, const Conditions& conditions,
          const Request& request)
      : scores(candidates.size()), indices(candidates.size()) {
    decision = plan(candidates, conditions, request, {.scores = scores, .front = indices});
  }
  Planned(std::span<const Candidate> candidates, const Link& link, const Caps& caps,
          const Request& request)
      : Planned(candidates, conditions_of(link, caps), request) {}
  std::span<const CandidateIndex> front() const {
    return std::span(indices).first(decision.front_size);
  }
  std::vector<Score> scores;
  std::vector<CandidateIndex> indices;
  Decision decision;
};

// A network of three ops in the paper's literal model, with sizes that make the sums easy to
// follow by hand. Device 2 cores at 1.5 GHz (3e9 multiply-adds a second), server 8 at 2.6 GHz
// (20.8e9), as in the paper's defaults.
//   k                 0          1          2          3 = L
//   X of op k+1       3e9        1.5e9      3e9
//   U bytes           1250000    625000     125000     -
//   memory            0          10 MB      30 MB      40 MB
//   T_edge            0          1 s        1.5 s      2.5 s
//   T_tx, 10 Mbit/s   1 s        0.5 s      0.1 s      0
//   T_server, ns      360576924  216346154  144230770  0
//   f1, ns            1360576924 1716346154 1744230770 2500000000
inline std::vector<Candidate> paper_candidates() {
  const std::vector<std::uint64_t> multiply_adds = {3'000'000'000, 1'500'000'000, 3'000'000'000};
  std::vector<std::uint64_t> edge_ns(3);
  std::vector<std::uint64_t> server_ns(3);
  literal_op_ns(multiply_adds, {.cores = 2, .clock_hz = 1'500'000'000}, edge_ns);
  literal_op_ns(multiply_adds, {.cores = 8, .clock_hz = 2'600'000'000}, server_ns);
  const std::uint64_t bytes[] = {1'250'000, 625'000, 125'000, 4'000};
  const std::uint64_t memory[] = {0, 10'000'000, 30'000'000, 40'000'000};
  std::vector<CutCost> cuts(4);
  for (std::uint16_t k = 0; k < 4; ++k) {
    cuts[k].op_boundary = k;
    cuts[k].split = k;
    cuts[k].boundary_bytes = bytes[k];
    cuts[k].edge_memory_bytes = cuts[k].edge_ram_bytes = memory[k];
    cuts[k].edge_storage_bytes = 2 * memory[k];
  }
  CostTable table;
  table.edge_op_ns = edge_ns;
  table.server_op_ns = server_ns;
  table.cuts = cuts;
  std::vector<Candidate> candidates(4);
  const Built built = build_candidates(table, candidates);
  candidates.resize(built.count);
  return candidates;
}

}  // namespace cleave::planner::testing
