// SPDX-License-Identifier: Apache-2.0
//
// How an agent reaches its server, and how long it waits for what.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "agent/event_log.h"
#include "agent/link_security.h"
#include "agent/name_lookup.h"
#include "schemas/endpoint.h"
#include "schemas/model_reader.h"

namespace cleave::agent {

struct ConnectionOptions {
  Endpoint server;
  LinkSecurity security;
  std::string device = "agent";
  ModelIdentity model_identity{};
  std::size_t score_count = 0;  // of this model; an answer with another count is refused
  std::uint64_t uplink_bits_per_second = 0;             // 0: no limit
  std::chrono::milliseconds connect_timeout{5'000};     // the look-up of the name included
  std::chrono::milliseconds handshake_timeout{10'000};  // Hello to the last Pong
  std::chrono::milliseconds stall_timeout{15'000};      // no byte moved
  std::size_t max_in_flight = 4;                        // requests, if the server takes as many
  // While a request is pending: a Ping after so long without progress, and the server is gone when
  // so much more passes without any.
  std::chrono::milliseconds ping_after{3'000};
  std::chrono::milliseconds gone_after{6'000};
  // Whether it promises signs of life, also while nothing is under way. Not for an agent whose
  // thread computes as well: it would be silent meanwhile.
  bool heartbeats = true;
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{30'000};
  std::chrono::milliseconds longest_pause{60'000};  // of what a server may ask with retry_after_ms
  std::uint64_t seed = 1;                           // of the backoff's jitter
  EventLog* log = nullptr;                          // told of what happens; outlives the connection
  NameLookup::System name_system;                   // for tests; null: the system's
};

}  // namespace cleave::agent
