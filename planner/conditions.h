// SPDX-License-Identifier: Apache-2.0
//
// What holds at this moment and for this picture: the link, the bounds, what energy and money are
// worth, and how the bytes that cross are counted. Nothing here is known when the candidates are
// built, and all of it may change from one plan() to the next.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace cleave::planner {

// The link as measured (link_estimator.h) or as given by the user.
struct Link {
  std::uint64_t bandwidth_bps = 0;    // goodput up, bit/s; 0 means that nothing gets through
  std::uint64_t rtt_ns = 0;           // one round trip of a small message
  bool available = false;             // a server answers and accepts this model
  std::uint64_t server_queue_ns = 0;  // wait at the server before its work begins; not billed
};

// Bounds. A candidate beyond one of them is infeasible; equal to it is within. The defaults bound
// nothing, but for the answers: unless told otherwise they are those of the exact model.
struct Caps {
  std::uint64_t ram_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t storage_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint16_t min_split = 0;  // privacy floor: at least this many layers stay on the device
  std::uint64_t deadline_ns = std::numeric_limits<std::uint64_t>::max();       // on the latency
  std::uint64_t energy_budget_uj = std::numeric_limits<std::uint64_t>::max();  // one picture's
  std::uint64_t cost_bound_ueur = std::numeric_limits<std::uint64_t>::max();  // as Score::cost_ueur
  std::uint32_t disagreement_ppm = 0;  // pictures in a million whose first label may differ
  bool server_refused = false;         // the user wants no server, whether or not one answers
};

// What the device draws, from the user's measurement or the board's data sheet. A model, not a
// reading. In microjoules (1 uW during 1 s), for one picture:
//   energy = compute_uw * T_edge / 1e9 ns
//          + radio_pj_per_byte * U / 1e6             where a server is needed
//          + idle_uw * (T_tx + T_server) / 1e9 ns    where a server is needed
// Each term is rounded up by itself (at most 3 uJ in all) and saturates, and so does the sum.
struct EnergyModel {
  std::uint64_t compute_uw = 0;         // power while the head runs, in microwatts
  std::uint64_t radio_pj_per_byte = 0;  // sending one byte, above idle_uw
  std::uint64_t idle_uw = 0;            // power while link and server are waited for
};

// What the owners of the server, the network and the device's socket ask, in micro-euro. One
// picture costs less than that, so the cost is that of `requests` pictures like this one:
//   cost = server_ueur_per_hour * (requests * T_work) / 3.6e12 ns      where a server is needed
//        + egress_ueur_per_gb * (requests * U) / 1e9 bytes             where a server is needed
//        + energy_ueur_per_kwh * (requests * energy) / 3.6e12 uJ
// with T_work the server's time without the queue and EnergyModel's energy, rounded as there.
// Rounding and saturation as in EnergyModel; the products in brackets saturate too.
struct Prices {
  std::uint64_t requests = 1'000'000;
  std::uint64_t server_ueur_per_hour = 0;  // of the share of a server that one request occupies
  std::uint64_t egress_ueur_per_gb = 0;    // of 1e9 bytes that leave the device
  std::uint64_t energy_ueur_per_kwh = 0;   // of what the device takes from the socket
};

// Which of the coded sizes of a candidate is counted as U. The median is the default because the
// other times of a candidate are medians as well: what is predicted is then the typical picture,
// and can be compared with what was measured. With kP95 the latency, and so a deadline, also holds
// for pictures that compress badly.
enum class Percentile : std::uint8_t { kMedian, kP95 };

// What this very picture takes as its codec codes it at k = 0, where it is known: the JPEG file.
struct PictureBytes {
  std::uint8_t codec = 0;
  std::uint64_t bytes = 0;
};

struct Conditions {
  Link link = {};
  Caps caps = {};
  EnergyModel energy = {};
  Prices prices = {};
  Percentile bytes_at = Percentile::kMedian;
  // Instead of both coded sizes of the candidates with k = 0 and that codec (its first entry
  // counts). Read during the call only.
  std::span<const PictureBytes> picture_bytes = {};
};

}  // namespace cleave::planner
