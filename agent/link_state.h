// SPDX-License-Identifier: Apache-2.0
//
// What a connection keeps beyond each of the TCP connections that it is made of.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/net.h"

namespace cleave::agent {

// Since the start. Of requests that were begun to be sent
//   asked = answers + busy + refused + cancelled + broken_off.
struct LinkCounters {
  std::uint64_t connections = 0;          // made, with a handshake
  std::uint64_t connections_lost = 0;     // of them, ended before the run was
  std::uint64_t connect_failures = 0;     // each is in one of the next
  std::uint64_t connect_unreachable = 0;  // no address, or nobody there
  std::uint64_t connect_timeouts = 0;     // not connected, or no handshake, in time
  std::uint64_t connect_distrusted = 0;   // TLS, certificates, or plain TCP not allowed
  std::uint64_t connect_mismatches = 0;   // another model or version, or a device not believed
  std::uint64_t connect_busy = 0;         // the server takes no connections now
  std::uint64_t connect_broken = 0;       // ended, or made no sense, in the handshake
  std::uint64_t asked = 0;                // requests that were sent, or begun
  std::uint64_t answers = 0;
  std::uint64_t busy = 0;               // turned down: come back later
  std::uint64_t refused = 0;            // answered with another error
  std::uint64_t cancelled = 0;          // requests given up before their answer came
  std::uint64_t broken_off = 0;         // their connection, or their time in mid-frame, ended
  std::uint64_t late_answers = 0;       // answers to cancelled ones, dropped
  std::uint64_t pings = 0;              // asked whether the server is still there
  std::uint64_t heartbeats = 0;         // said so that the server knows that the agent is
  std::uint64_t heartbeats_missed = 0;  // the server was silent: the connection was dropped
};

struct LinkCounter {
  std::string_view name;
  std::uint64_t LinkCounters::*value;
};
// All of them, by the names that reports use.
inline constexpr auto kLinkCounters = std::to_array<LinkCounter>({
    {"connections", &LinkCounters::connections},
    {"connections_lost", &LinkCounters::connections_lost},
    {"connect_failures", &LinkCounters::connect_failures},
    {"connect_unreachable", &LinkCounters::connect_unreachable},
    {"connect_timeouts", &LinkCounters::connect_timeouts},
    {"connect_distrusted", &LinkCounters::connect_distrusted},
    {"connect_mismatches", &LinkCounters::connect_mismatches},
    {"connect_busy", &LinkCounters::connect_busy},
    {"connect_broken", &LinkCounters::connect_broken},
    {"asked", &LinkCounters::asked},
    {"answers", &LinkCounters::answers},
    {"busy", &LinkCounters::busy},
    {"refused", &LinkCounters::refused},
    {"cancelled", &LinkCounters::cancelled},
    {"broken_off", &LinkCounters::broken_off},
    {"late_answers", &LinkCounters::late_answers},
    {"pings", &LinkCounters::pings},
    {"heartbeats", &LinkCounters::heartbeats},
    {"heartbeats_missed", &LinkCounters::heartbeats_missed},
});
// A counter that is added and not listed is one that nobody sees.
static_assert(sizeof(LinkCounters) == kLinkCounters.size() * sizeof(std::uint64_t));

struct LinkState {
  LinkCounters counters;
  // The end of the pause that the server last asked for.
  Clock::time_point quiet_until{};
  // Why whoever was met last did not prove to be the server; empty: it did, or nobody was met yet.
  std::string stranger;
  bool told_unencrypted = false;  // once is enough
};

}  // namespace cleave::agent
