// SPDX-License-Identifier: Apache-2.0
//
// From a candidate and the present conditions to its score: the four objectives and the bounds that
// it breaks.
#pragma once

#include <cstdint>

#include "planner/planner.h"

namespace cleave::planner {

// U, the bytes that this candidate is taken to send: those known of this picture at k = 0, else its
// coded bytes at the percentile asked for; 0 where nothing is sent.
[[nodiscard]] std::uint64_t sent_bytes(const Candidate& candidate, const Conditions& conditions);

// T_tx: boundary_bytes * 8e9 / bandwidth_bps, rounded up, plus one round trip: half of it carries
// the last byte up, half the answer down (an answer is one small message). kSaturated when the
// bandwidth is 0. The paper's T_tx = U / B is this with rtt_ns = 0.
[[nodiscard]] std::uint64_t transmit_ns(std::uint64_t boundary_bytes, const Link& link);

// EnergyModel's formula. `sent` is 0 and `wait_ns` (T_tx + T_server) is 0 without a server.
[[nodiscard]] std::uint64_t energy_uj(const EnergyModel& model, std::uint64_t edge_ns,
                                      std::uint64_t sent_bytes, std::uint64_t wait_ns);

// Prices' formula, of Prices::requests pictures. `work_ns` and `sent_bytes` are 0 without a server;
// `energy_uj` is one picture's.
[[nodiscard]] std::uint64_t cost_ueur(const Prices& prices, std::uint64_t work_ns,
                                      std::uint64_t sent_bytes, std::uint64_t energy_uj);

// Objectives and broken bounds of one candidate; on_front is left false.
[[nodiscard]] Score score(const Candidate& candidate, const Conditions& conditions);

}  // namespace cleave::planner
