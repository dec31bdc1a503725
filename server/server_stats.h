// SPDX-License-Identifier: Apache-2.0
//
// Counters of one server's life; touched on the network thread only.
#pragma once

#include <cstdint>

namespace cleave::server {

struct ServerStats {
  std::uint64_t connections = 0;
  std::uint64_t refused_connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  std::uint64_t errors = 0;
  std::uint64_t busy = 0;
  std::uint64_t busy_payloads = 0;       // of busy: those for which the payload budget had no room
  std::uint64_t peak_payload_bytes = 0;  // the most that requests held at one time
  std::uint64_t bytes_in = 0;
};

}  // namespace cleave::server
