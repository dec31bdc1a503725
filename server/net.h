// SPDX-License-Identifier: Apache-2.0
//
// The names of Asio that the server uses, and its one way of awaiting: errors as values.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>

#include "schemas/transport/net.h"

namespace cleave::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using cleave::as_result;
using cleave::error_code;
using Clock = std::chrono::steady_clock;

inline std::uint64_t nanoseconds_between(Clock::time_point from, Clock::time_point to) {
  const auto span = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return span < 0 ? 0 : static_cast<std::uint64_t>(span);
}

// The moment at which `remaining_ns` of a request that `arrived` are used up; nothing when it has
// no deadline. A longer wait than a day is none, and must not overflow the clock.
inline std::optional<Clock::time_point> deadline_after(Clock::time_point arrived,
                                                       std::uint64_t remaining_ns) {
  if (remaining_ns == 0 || remaining_ns >= 86'400'000'000'000ULL) return std::nullopt;
  return arrived + std::chrono::nanoseconds(remaining_ns);
}

}  // namespace cleave::server
