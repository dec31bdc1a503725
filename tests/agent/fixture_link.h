// SPDX-License-Identifier: Apache-2.0
//
// The agent's end of a link to the server of a Fixture.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/connection.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {

// Of the model that the server has.
inline agent::ConnectionOptions options_for(const Fixture& fixture) {
  agent::ConnectionOptions options;
  options.server = {"127.0.0.1", fixture.server.port()};
  options.model_identity = fixture.identity();
  options.score_count = fixture.expected(1, fixture.boundary(1, 1)).size();
  return options;
}

// Runs a coroutine, and all that it starts, to the end.
template <typename Work>
void run(asio::io_context& io, Work work) {
  io.restart();
  asio::co_spawn(io, work, asio::detached);
  io.run();
}

}  // namespace cleave::test
