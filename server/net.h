// SPDX-License-Identifier: Apache-2.0
//
// The names of Asio that the server uses, and its one way of awaiting: errors as values.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

namespace cleave::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

// co_await f(..., as_result) gives a tuple that starts with an error_code.
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

inline std::uint64_t nanoseconds_between(Clock::time_point from, Clock::time_point to) {
  const auto span = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return span < 0 ? 0 : static_cast<std::uint64_t>(span);
}

}  // namespace cleave::server
