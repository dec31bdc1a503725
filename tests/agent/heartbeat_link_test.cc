// SPDX-License-Identifier: Apache-2.0
//
// How an agent notices that its server is gone, and how it shows that it is not; and what is
// counted of a connection and its requests.
#include <doctest/doctest.h>

#include <future>

#include "tests/agent/channel_bench.h"

namespace cleave::agent {

TEST_CASE(
    "a server that falls silent is asked, and dropped long before the request's time is over") {
  std::promise<void> over;
  bool answers_pings = false;
  const auto script = [&, ended = over.get_future().share()](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
    (void)peer.receive();
    if (!answers_pings) {
      ended.wait();  // its system still takes what comes
      return;
    }
    for (int pings = 0; pings < 3;) {
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr) return;
      if (const fbs::Ping* ping = message->message_as_Ping()) {
        peer.send(make_pong(ping->nonce()));
        ++pings;
      }
    }
    peer.send(make_answer(1, scores_of(1), {}));
    (void)peer.receive();
  };
  const auto start = Clock::now();
  SUBCASE("one that says nothing") {
    const ScriptedServer server(script);
    ChannelBench bench(server);
    bench.options.ping_after = bench.options.gone_after = milliseconds(200);
    bench.exchange(1);
    over.set_value();
    CHECK(bench.statuses[0].code() == StatusCode::kUnavailable);
    CHECK(bench.statuses[0].message().find("silent") != std::string::npos);
    CHECK(bench.counters.pings == 1);
    CHECK(bench.counters.heartbeats_missed == 1);
    CHECK(Clock::now() - start >= milliseconds(400));
    CHECK(Clock::now() - start < kSoon);
  }
  SUBCASE("one that computes for long, and answers Pings") {
    answers_pings = true;
    const ScriptedServer server(script);
    ChannelBench bench(server);
    bench.options.ping_after = milliseconds(100);
    bench.exchange(1);
    CHECK_MESSAGE(bench.statuses[0].is_ok(), bench.statuses[0].message());
    CHECK(bench.counters.pings >= 3);
    CHECK(bench.counters.heartbeats_missed == 0);
  }
}

TEST_CASE("heartbeats: an agent without requests says something all the time") {
  constexpr std::uint32_t kHeartbeatMs = 500;
  std::promise<int> heard;  // Pings while nothing was asked
  std::promise<void> over;
  bool answers_pings = true;
  const auto script = [&, ended = over.get_future().share()](ScriptedPeer& peer, int number) {
    if (number > 0) return;
    peer.greet(kIdentity, 1 << 20, 1, kFeatureHeartbeat, kHeartbeatMs);
    if (!answers_pings) return ended.wait();
    int pings = 0;
    while (pings < 5) {
      if (peer.is_quiet_for(seconds(10))) break;
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr || message->message_as_Ping() == nullptr) break;
      peer.send(make_pong(message->message_as_Ping()->nonce()));
      ++pings;
    }
    heard.set_value(pings);
    (void)peer.receive();
  };
  // Connects, and asks nothing.
  const auto idle = [](const ScriptedServer& server, const std::function<bool(Connection&)>& until,
                       bool heartbeats = true) {
    asio::io_context io(1);
    ConnectionOptions options = ChannelBench(server).options;
    options.heartbeats = heartbeats;
    Connection connection(io.get_executor(), options);
    LinkCounters counters;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          const Status status = co_await connection.ensure_ready();
          CHECK_MESSAGE(status.is_ok(), status.message());
          const auto latest = Clock::now() + kSoon;
          asio::steady_timer timer(io);
          while (!until(connection) && Clock::now() < latest) {
            timer.expires_after(milliseconds(10));
            (void)co_await timer.async_wait(as_result);
          }
          CHECK(Clock::now() < latest);
          counters = connection.counters();
          co_await connection.close();
        },
        asio::detached);
    io.run();
    return counters;
  };
  SUBCASE("and hears that the server is there") {
    const ScriptedServer server(script);
    auto pings = heard.get_future();
    const LinkCounters counters = idle(server, [&](Connection&) {
      return pings.wait_for(seconds(0)) == std::future_status::ready;
    });
    CHECK(pings.get() == 5);
    CHECK(counters.heartbeats >= 5);
    CHECK(counters.heartbeats_missed == 0);
    CHECK(counters.connections_lost == 0);
  }
  SUBCASE("or that it is not") {
    answers_pings = false;
    const ScriptedServer server(script);
    const auto start = Clock::now();
    const LinkCounters counters =
        idle(server, [](Connection& connection) { return !connection.is_open(); });
    over.set_value();
    // What its system acknowledges counts as a sign of life, so the first Pings are no silence.
    CHECK(Clock::now() - start >= milliseconds(3 * kHeartbeatMs));
    CHECK(counters.heartbeats_missed == 1);
    CHECK(counters.connections_lost == 1);
  }
  SUBCASE("not one that did not promise it") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      const fbs::Envelope* hello = peer.receive();
      if (hello == nullptr || hello->message_as_Hello() == nullptr) return;
      CHECK((hello->message_as_Hello()->features() & kFeatureHeartbeat) == 0);
      peer.send(test::make_test_welcome(kIdentity, 1 << 20, 1, kFeatureHeartbeat, 50));
      for (int i = 0; i < 3; ++i) {
        const fbs::Envelope* ping = peer.receive();
        if (ping == nullptr || ping->message_as_Ping() == nullptr) return;
        peer.send(make_pong(ping->message_as_Ping()->nonce()));
      }
      (void)peer.receive();
    });
    const auto start = Clock::now();
    const LinkCounters counters = idle(
        server, [&](Connection&) { return Clock::now() - start > milliseconds(300); }, false);
    CHECK(counters.heartbeats == 0);
  }
}

TEST_CASE("each request that was sent is counted by its end") {
  const ScriptedServer server([](ScriptedPeer& peer, int number) {
    if (number > 0) return;
    peer.greet(kIdentity, 1 << 20, 1, kFeatureCancel);
    std::vector<std::uint64_t> ids;
    while (ids.size() < 4) ids.push_back(peer.next_request());
    peer.send(make_answer(ids[0], scores_of(ids[0]), {}));
    peer.send(make_error(ids[1], fbs::ErrorCode::Busy, "full"));
    peer.send(make_error(ids[2], fbs::ErrorCode::BadPicture, "none"));
    bool is_cancelled = false;
    bool is_asked = false;  // the fifth
    while (!is_cancelled || !is_asked) {
      const fbs::Envelope* message = peer.receive();
      if (message == nullptr) break;
      is_cancelled = is_cancelled || message->message_as_Cancel() != nullptr;
      is_asked = is_asked || message->message_as_Request() != nullptr;
    }
  });
  ChannelBench bench(server);
  bench.timeouts = {kPatience, kPatience, kPatience, seconds(1), kPatience};
  bench.exchange(5);
  const LinkCounters& counters = bench.counters;
  CHECK(counters.connections == 1);
  CHECK(counters.connections_lost == 1);
  CHECK(counters.answers == 1);
  CHECK(counters.busy == 1);
  CHECK(counters.refused == 1);
  CHECK(counters.cancelled == 1);
  CHECK(counters.broken_off == 1);
  CHECK(counters.asked == 5);
}

TEST_CASE("a slow uplink is not taken for a dead server") {
  // 4 KiB each 20 ms: the attachment is under way for many times the bound.
  constexpr std::size_t kBytes = 512 << 10;
  const ScriptedServer server(
      [](ScriptedPeer& peer, int) {
        peer.greet(kIdentity);
        const std::size_t frame =
            make_request({.request_id = 1, .cut = 1, .remaining_ns = 1}, kBytes).size();
        if (!peer.drain(frame + kBytes, 4 << 10, milliseconds(20))) return;
        peer.send(make_answer(1, scores_of(1), {}));
        (void)peer.receive();
      },
      8 << 10);
  ChannelBench bench(server);
  bench.payload.resize(kBytes);
  bench.options.ping_after = bench.options.gone_after = milliseconds(500);
  const auto start = Clock::now();
  bench.exchange(1);
  CHECK_MESSAGE(bench.statuses[0].is_ok(), bench.statuses[0].message());
  CHECK(Clock::now() - start > milliseconds(2'000));
  CHECK(bench.counters.heartbeats_missed == 0);
}

}  // namespace cleave::agent
