// SPDX-License-Identifier: Apache-2.0
//
// The names of Asio that the agent uses, and its one way of awaiting: errors as values.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>

#include "schemas/transport/net.h"

namespace cleave::agent {

namespace asio = boost::asio;
using asio::ip::tcp;
using cleave::as_result;
using cleave::error_code;
using Clock = std::chrono::steady_clock;

inline std::uint64_t ns_between(Clock::time_point from, Clock::time_point to) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return ns < 0 ? 0 : static_cast<std::uint64_t>(ns);
}

}  // namespace cleave::agent
