// SPDX-License-Identifier: Apache-2.0
//
// The literal model of the LMOS paper, run through the planner: T = X / (C S) on both machines,
// T_tx = U / B without a round trip, f2(k) bounded by the edge's storage. The one place of the
// study that calls the planner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "planner/cost_model.h"
#include "planner/planner.h"
#include "tests/hil/network_table.h"

namespace cleave::study {

// The paper's parameters; its defaults.
struct Platform {
  std::uint64_t bandwidth_bps = 10'000'000;
  std::uint64_t edge_storage_bytes = 8'000'000'000;
  planner::Processor edge{.cores = 2, .clock_hz = 1'500'000'000};
  planner::Processor server{.cores = 8, .clock_hz = 2'600'000'000};
};

// How a split is chosen.
struct Chooser {
  std::string name;
  planner::Request request;
  bool must_split = false;  // k = L is no candidate: something is left to the server
};

[[nodiscard]] Chooser literal();                                 // Algorithm 1 as published
[[nodiscard]] Chooser literal_split();                           // the same over k < L
[[nodiscard]] Chooser within(std::uint32_t n, std::uint32_t d);  // within n/d of the best latency
[[nodiscard]] Chooser baseline(planner::Policy policy, std::uint64_t seed = 0);

struct Outcome {
  bool feasible = false;  // the rest is 0 when it is not
  std::size_t k = 0;      // layers on the edge
  std::uint64_t edge_ns = 0;
  std::uint64_t tx_ns = 0;
  std::uint64_t server_ns = 0;
  std::uint64_t latency_ns = 0;    // f1, their sum
  std::uint64_t memory_bytes = 0;  // f2
  std::uint64_t sent_bytes = 0;
};

[[nodiscard]] Outcome choose(const NetworkTable& network, const Platform& platform,
                             const Chooser& chooser);

// Every k from 0 to L, feasible or not, whatever the storage.
[[nodiscard]] std::vector<Outcome> all_splits(const NetworkTable& network,
                                              const Platform& platform);

// The Pareto front, ascending in latency and memory.
[[nodiscard]] std::vector<Outcome> pareto_front(const NetworkTable& network,
                                                const Platform& platform);

}  // namespace cleave::study
