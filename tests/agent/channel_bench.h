// SPDX-License-Identifier: Apache-2.0
//
// Several requests at a time on one connection to a scripted server.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "schemas/protocol.h"
#include "tests/agent/connection_exchange.h"

namespace cleave::agent {

inline std::vector<float> scores_of(std::uint64_t id) { return {static_cast<float>(id), 0, 0}; }

// Requests 1, 2, ... on one connection, begun in that order.
struct ChannelBench {
  asio::io_context io{1};
  ConnectionOptions options;
  std::vector<std::byte> payload = std::vector<std::byte>(1000);
  std::vector<milliseconds> timeouts;  // of each; further ones have kPatience
  std::vector<Status> statuses;
  std::vector<ServerAnswer> answers;
  std::vector<std::uint64_t> ended;  // ids in the order of their ends
  LinkCounters counters;
  bool stayed_open = false;
  std::function<asio::awaitable<void>()> beside;  // runs beside them; may be empty

  explicit ChannelBench(const ScriptedServer& server) : options(options_for(server.port())) {
    options.ping_after = options.gone_after = kPatience;
  }

  void exchange(std::size_t count, const std::function<void(Connection&)>& after = {}) {
    Connection connection(io.get_executor(), options);
    statuses.resize(count);
    answers.resize(count);
    Turns places(io.get_executor(), count);
    const auto one = [&](std::size_t i) -> asio::awaitable<void> {
      Outgoing request;
      request.request_id = i + 1;
      request.cut = 1;
      request.latest = Clock::now() + (i < timeouts.size() ? timeouts[i] : milliseconds(kPatience));
      request.attachment.emplace_back(payload);
      statuses[i] = co_await connection.exchange(request, answers[i]);
      ended.push_back(i + 1);
      places.leave();
    };
    const auto all = [&]() -> asio::awaitable<void> {
      (void)co_await connection.ensure_ready();
      for (std::size_t i = 0; i < count; ++i) {
        (void)co_await places.enter();
        asio::co_spawn(io, one(i), asio::detached);
      }
      if (beside) asio::co_spawn(io, beside, asio::detached);
      for (std::size_t i = 0; i < count; ++i) (void)co_await places.enter();
      stayed_open = connection.is_open();
      if (after) after(connection);
      counters = connection.counters();
      co_await connection.close();
    };
    asio::co_spawn(io, all(), asio::detached);
    io.run();
  }
};

}  // namespace cleave::agent
