// SPDX-License-Identifier: Apache-2.0
//
// The names of Asio that the transport uses, and the one way of awaiting in all of cleave: errors
// as values.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <tuple>

namespace cleave {

namespace asio = boost::asio;
using boost::system::error_code;

// co_await f(..., as_result) gives a tuple that starts with an error_code.
using AsResult = asio::as_tuple_t<asio::use_awaitable_t<>>;
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// What a read or a write comes to: its error, and the bytes that were moved.
using IoResult = std::tuple<error_code, std::size_t>;

}  // namespace cleave
