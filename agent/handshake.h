// SPDX-License-Identifier: Apache-2.0
//
// The first words on a connection: Hello and Welcome, and three Pings for the round trip.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "agent/connection_options.h"
#include "agent/link_state.h"
#include "agent/server_link.h"
#include "schemas/profile_reader.h"

namespace cleave::agent {

// What a server said of itself.
struct ServerFacts {
  std::uint64_t features = 0;    // agreed on
  std::uint64_t session_id = 0;  // by which its log calls this connection
  std::chrono::milliseconds heartbeat{
      0};                               // the agent says something at least so often; 0: need not
  std::uint64_t max_picture_bytes = 0;  // largest file that it takes
  std::uint32_t max_inflight = 1;       // requests of one connection before Busy
  std::uint64_t rtt_ns = 0;             // the shortest of three
  std::optional<ProfileData> profile;
  bool says_goodbye = false;  // it ends already
};

// Shakes hands on a link that is connected, until `latest`. Errors: as Connection::ensure_ready.
asio::awaitable<Status> shake_hands(ServerLink& link, const ConnectionOptions& options,
                                    LinkState& state, Clock::time_point latest,
                                    ServerFacts& server);

// Whether a Welcome agrees on a version that this agent offers in every Hello. Errors: kMismatch,
// final as every other.
[[nodiscard]] Status check_version(const fbs::Welcome& welcome, const Endpoint& server);

// A server's Error was read: keeps the pause that it asks for, at most the longest.
void keep_pause(const fbs::Error& error, const ConnectionOptions& options, LinkState& state);

}  // namespace cleave::agent
