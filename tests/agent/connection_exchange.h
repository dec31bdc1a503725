// SPDX-License-Identifier: Apache-2.0
//
// One exchange of a Connection with a scripted server, as the tests of connections make them.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <span>

#include "agent/connection.h"
#include "tests/agent/scripted_server.h"

namespace cleave::agent {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ScriptedPeer;
using test::ScriptedServer;

inline constexpr ModelIdentity kIdentity{1, 2, 3};
inline constexpr std::byte kPayload[4] = {};

// No time below passes while a loaded machine is slow: what must happen has kPatience, what must
// not happen would take it, and what a test waits for ends long before kSoon.
inline constexpr seconds kPatience{60};
inline constexpr seconds kSoon{15};

inline ConnectionOptions options_for(std::uint16_t port) {
  ConnectionOptions options;
  options.server = {"127.0.0.1", port};
  options.model_identity = kIdentity;
  options.score_count = 3;
  options.connect_timeout = kPatience;
  options.handshake_timeout = kPatience;
  options.stall_timeout = kPatience;
  options.first_backoff = kPatience;
  options.longest_backoff = kPatience;
  return options;
}

struct Exchanged {
  Status status;
  ServerAnswer answer;
};

// One exchange on `connection`, of four bytes unless told otherwise.
inline Exchanged exchange(boost::asio::io_context& io, Connection& connection,
                          std::span<const std::byte> payload = kPayload,
                          milliseconds timeout = kPatience) {
  Exchanged outcome;
  boost::asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        Outgoing request;
        request.request_id = 42;
        request.cut = 1;
        request.latest = Clock::now() + timeout;
        request.attachment.push_back(payload);
        outcome.status = co_await connection.exchange(request, outcome.answer);
        io.stop();  // the connection is read on
      },
      boost::asio::detached);
  io.restart();
  io.run();
  return outcome;
}

inline Exchanged exchange_once(const ScriptedServer& server) {
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  return exchange(io, connection);
}

}  // namespace cleave::agent
