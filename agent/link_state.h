// SPDX-License-Identifier: Apache-2.0
//
// What a connection keeps beyond each of the TCP connections that it is made of.
#pragma once

#include <cstdint>

#include "agent/net.h"

namespace cleave::agent {

// Since the start.
struct LinkCounters {
  std::uint64_t cancelled = 0;          // requests given up before their answer came
  std::uint64_t late_answers = 0;       // answers to those, dropped
  std::uint64_t pings = 0;              // asked whether the server is still there
  std::uint64_t heartbeats_missed = 0;  // and it was not: the connection was dropped
};

struct LinkState {
  LinkCounters counters;
  // The end of the pause that the server last asked for.
  Clock::time_point quiet_until{};
};

}  // namespace cleave::agent
