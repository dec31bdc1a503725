// SPDX-License-Identifier: Apache-2.0
//
// Several requests at a time on one connection, against servers that answer them in their own
// order, late, or no more.
#include "agent/request_channel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <vector>

#include "agent/connection.h"
#include "schemas/protocol.h"
#include "tests/agent/scripted_server.h"

namespace cleave::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ScriptedPeer;
using test::ScriptedServer;

constexpr ModelIdentity kChannelIdentity{7, 7};
constexpr seconds kLongWait{60};   // would be taken by what must not happen
constexpr seconds kNotSoLong{20};  // what happens at once ends long before this

std::vector<float> scores_of(std::uint64_t id) { return {static_cast<float>(id), 0, 0}; }

// Requests 1, 2, ... on one connection, begun in that order.
struct ChannelBench {
  asio::io_context io{1};
  ConnectionOptions options;
  std::vector<std::byte> payload = std::vector<std::byte>(1000);
  std::vector<milliseconds> timeouts;  // of each; further ones have kLongWait
  std::vector<Status> statuses;
  std::vector<ServerAnswer> answers;
  std::vector<std::uint64_t> ended;  // ids in the order of their ends
  LinkCounters counters;
  bool stayed_open = false;
  std::function<asio::awaitable<void>()> beside;  // runs beside them; may be empty

  explicit ChannelBench(const ScriptedServer& server) {
    options.server = {"127.0.0.1", server.port()};
    options.model_identity = kChannelIdentity;
    options.score_count = 3;
    options.first_backoff = options.longest_backoff = kLongWait;
    options.ping_after = options.gone_after = kLongWait;
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
      request.latest = Clock::now() + (i < timeouts.size() ? timeouts[i] : milliseconds(kLongWait));
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

}  // namespace

TEST_CASE("requests in flight are matched to their answers, in whatever order these come") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
    std::vector<std::uint64_t> ids;
    while (ids.size() < 3) ids.push_back(peer.next_request());  // all before the first answer
    for (const std::size_t i : {2U, 0U, 1U}) peer.send(make_answer(ids[i], scores_of(ids[i]), {}));
    (void)peer.receive();
  });
  ChannelBench bench(server);
  bench.exchange(3);
  for (std::size_t i = 0; i < 3; ++i) {
    REQUIRE_MESSAGE(bench.statuses[i].is_ok(), bench.statuses[i].message());
    CHECK(bench.answers[i].scores == scores_of(i + 1));
    CHECK(bench.answers[i].attachment_bytes_up == bench.payload.size());
  }
  CHECK(bench.ended == std::vector<std::uint64_t>{3, 1, 2});
  CHECK(server.connections() == 1);
}

TEST_CASE("no more requests are in flight than the agent and the server allow") {
  std::atomic<int> at_once{0};
  std::atomic<bool> further_came{false};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);  // allows 4
    std::vector<std::uint64_t> ids;
    for (int answered = 0; answered < 6;) {
      ids.push_back(peer.next_request());
      at_once = std::max(at_once.load(), static_cast<int>(ids.size()));
      const bool more_come = answered + static_cast<int>(ids.size()) < 6 && ids.size() < 2;
      if (more_come) continue;
      if (!peer.is_quiet_for(milliseconds(50))) further_came = true;
      for (const std::uint64_t id : ids) peer.send(make_answer(id, scores_of(id), {}));
      answered += static_cast<int>(ids.size());
      ids.clear();
    }
    (void)peer.receive();
  });
  ChannelBench bench(server);
  bench.options.max_in_flight = 2;
  bench.exchange(6);
  for (const Status& status : bench.statuses) CHECK_MESSAGE(status.is_ok(), status.message());
  CHECK(at_once == 2);
  CHECK_FALSE(further_came);
}

TEST_CASE("one request's refusal that ends the connection is no refusal of the others") {
  bool names_request = false;
  SUBCASE("of a request") { names_request = true; }
  SUBCASE("of the connection") {}
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
    const std::uint64_t first = peer.next_request();
    (void)peer.next_request();
    peer.send(make_error(names_request ? first : 0, fbs::ErrorCode::BadRequest, "no such cut"));
  });
  ChannelBench bench(server);
  bench.options.max_in_flight = 2;  // the third waits for its place
  bench.exchange(3);
  CHECK(bench.statuses[0].code() ==
        (names_request ? StatusCode::kInvalidArgument : StatusCode::kUnavailable));
  CHECK(bench.statuses[1].code() == StatusCode::kUnavailable);
  CHECK(bench.statuses[2].code() == StatusCode::kUnavailable);
}

TEST_CASE("one whose time is over is cancelled, the others go on, and its late answer is counted") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity, 1 << 20, 1, kFeatureCancel);
    const std::uint64_t first = peer.next_request();
    const std::uint64_t second = peer.next_request();
    std::uint64_t cancelled = 0;
    while (const fbs::Envelope* message = peer.receive()) {
      if (message->message_as_Cancel() == nullptr) continue;
      cancelled = message->message_as_Cancel()->request_id();
      break;
    }
    if (cancelled != first) return;
    peer.send(make_answer(first, scores_of(first), {}));  // it was on its way already
    peer.send(make_answer(second, scores_of(second), {}));
    (void)peer.receive();
  });
  ChannelBench bench(server);
  bench.timeouts = {milliseconds(300)};
  bench.exchange(2);
  CHECK(bench.statuses[0].code() == StatusCode::kDeadlineExceeded);
  REQUIRE_MESSAGE(bench.statuses[1].is_ok(), bench.statuses[1].message());
  CHECK(bench.answers[1].scores == scores_of(2));
  CHECK(bench.counters.cancelled == 1);
  CHECK(bench.counters.late_answers == 1);
  CHECK(bench.stayed_open);
}

TEST_CASE("when the link breaks, everything on it ends at once") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
    for (int i = 0; i < 3; ++i) (void)peer.next_request();
  });
  ChannelBench bench(server);
  const auto start = Clock::now();
  bench.exchange(3);
  CHECK(Clock::now() - start < kNotSoLong);
  for (const Status& status : bench.statuses) CHECK(status.code() == StatusCode::kUnavailable);
  CHECK_FALSE(bench.stayed_open);
}

TEST_CASE(
    "a server that falls silent is asked, and dropped long before the request's time is over") {
  std::promise<void> over;
  bool answers_pings = false;
  const auto script = [&, ended = over.get_future().share()](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
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
    CHECK(Clock::now() - start < kNotSoLong);
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
  constexpr std::uint32_t kHeartbeatMs = 100;
  std::promise<int> heard;  // Pings while nothing was asked
  std::promise<void> over;
  bool answers_pings = true;
  const auto script = [&, ended = over.get_future().share()](ScriptedPeer& peer, int number) {
    if (number > 0) return;
    peer.greet(kChannelIdentity, 1 << 20, 1, kFeatureHeartbeat, kHeartbeatMs);
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
          const auto latest = Clock::now() + kNotSoLong;
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
      peer.send(test::make_test_welcome(kChannelIdentity, 1 << 20, 1, kFeatureHeartbeat, 50));
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
    peer.greet(kChannelIdentity, 1 << 20, 1, kFeatureCancel);
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
  bench.timeouts = {kLongWait, kLongWait, kLongWait, seconds(1), kLongWait};
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
  // 4 KiB each 50 ms: the attachment is under way for many times the bound.
  constexpr std::size_t kBytes = 512 << 10;
  const ScriptedServer server(
      [](ScriptedPeer& peer, int) {
        peer.greet(kChannelIdentity);
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

TEST_CASE("what is still on its way when a request begins is counted with it") {
  constexpr std::size_t kBytes = 512 << 10;
  constexpr std::size_t kStep = 4 << 10;
  const std::size_t frame =
      make_request({.request_id = 1, .cut = 1, .remaining_ns = 1}, kBytes).size() + kBytes;
  // The server reads no more than the systems between them need to take the first request from the
  // agent, whatever that is, until the second has begun.
  std::atomic<std::size_t> may_read{0}, read{0};
  std::atomic<bool> second_began{false};
  std::size_t arrived = 0;
  std::promise<void> counted;
  const ScriptedServer server(
      [&](ScriptedPeer& peer, int) {
        peer.greet(kChannelIdentity);
        while (!second_began) {
          if (read == may_read) {
            std::this_thread::sleep_for(milliseconds(1));
          } else if (peer.drain(kStep, kStep, {})) {
            read += kStep;
          } else {
            break;
          }
        }
        arrived = read + peer.unread_bytes();
        counted.set_value();
        if (!peer.drain(frame - read, frame - read, {})) return;
        peer.send(make_answer(1, scores_of(1), {}));
        const std::uint64_t second = peer.next_request();
        peer.send(make_answer(second, scores_of(second), {}));
        (void)peer.receive();
      },
      8 << 10);
  ChannelBench bench(server);
  bench.payload.resize(kBytes);
  bench.beside = [&]() -> asio::awaitable<void> {
    asio::steady_timer timer(bench.io);
    while (bench.answers[0].frame_bytes_up == 0 && bench.ended.empty()) {
      timer.expires_after(milliseconds(2));
      (void)co_await timer.async_wait(as_result);
      if (bench.answers[0].frame_bytes_up == 0 && read == may_read) may_read += kStep;
    }
    // The second was told of its turn when the first had gone out.
    timer.expires_after(milliseconds(2));
    (void)co_await timer.async_wait(as_result);
    second_began = true;
  };
  bench.exchange(2);
  counted.get_future().wait();
  for (const Status& status : bench.statuses) REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(bench.answers[0].bytes_ahead == 0);
  CHECK(bench.answers[0].frame_bytes_up == frame);
  REQUIRE(arrived < frame);
  CHECK(bench.answers[1].bytes_ahead >= frame - arrived);
  CHECK(bench.answers[1].bytes_ahead <= frame);
}

TEST_CASE("time behind other requests is not the link's") {
  // 20 KB at 400 kbit/s take 400 ms each.
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
    while (const std::uint64_t id = peer.next_request()) {
      peer.send(make_answer(id, scores_of(id), {}));
    }
  });
  ChannelBench bench(server);
  bench.payload.resize(20'000);
  bench.options.uplink_bits_per_second = 400'000;
  bench.exchange(2);
  REQUIRE(bench.statuses[0].is_ok());
  REQUIRE(bench.statuses[1].is_ok());
  CHECK(bench.answers[1].queued_ns > 300'000'000);
  CHECK(bench.answers[1].wait_ns > 300'000'000);
  CHECK(bench.answers[0].queued_ns < bench.answers[1].queued_ns);
}

TEST_CASE(
    "what is under way when the server says Goodbye is answered, what waits is told at once") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kChannelIdentity);
    const std::uint64_t first = peer.next_request();
    peer.send(make_goodbye("restart"));
    peer.send(make_answer(first, scores_of(first), {}));
    (void)peer.receive();
  });
  ChannelBench bench(server);
  bench.options.max_in_flight = 1;
  bench.exchange(2);  // the second waits for its place when the server says so
  CHECK(bench.statuses[0].is_ok());
  CHECK(bench.statuses[1].code() == StatusCode::kUnavailable);
  CHECK(bench.statuses[1].message().find("Goodbye") != std::string::npos);
  CHECK_FALSE(bench.stayed_open);
}

}  // namespace cleave::agent
