// SPDX-License-Identifier: Apache-2.0
//
// Several requests at a time on one connection, against servers that answer them in their own
// order, late, or no more.
#include "agent/request_channel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "schemas/frame.h"
#include "tests/agent/channel_bench.h"

namespace cleave::agent {

TEST_CASE("requests in flight are matched to their answers, in whatever order these come") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
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
    peer.greet(kIdentity);  // allows 4
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
    peer.greet(kIdentity);
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
    peer.greet(kIdentity, 1 << 20, 1, kFeatureCancel);
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
    peer.greet(kIdentity);
    for (int i = 0; i < 3; ++i) (void)peer.next_request();
  });
  ChannelBench bench(server);
  const auto start = Clock::now();
  bench.exchange(3);
  CHECK(Clock::now() - start < kSoon);
  for (const Status& status : bench.statuses) CHECK(status.code() == StatusCode::kUnavailable);
  CHECK_FALSE(bench.stayed_open);
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
        peer.greet(kIdentity);
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
    peer.greet(kIdentity);
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
    peer.greet(kIdentity);
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

TEST_CASE("a message longer than any that can come is refused by its header alone") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
    (void)peer.receive();
    peer.send(encode_frame_header({.message_bytes = 8192}));
    (void)peer.receive();  // until the agent closes
  });
  ChannelBench bench(server);
  const auto start = Clock::now();
  bench.exchange(1);
  CHECK(bench.statuses[0].code() == StatusCode::kOutOfRange);
  CHECK(bench.statuses[0].message().find("8192") != std::string::npos);
  CHECK(Clock::now() - start < kSoon);  // it does not wait for the message
  CHECK(bench.counters.connections_lost == 1);
}

TEST_CASE("the longest text that a server may say still comes through") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
    const std::uint64_t id = peer.next_request();
    peer.send(make_error(id, fbs::ErrorCode::BadPicture, std::string(kMaxTextBytes, 'x'), 0));
    (void)peer.receive();
  });
  ChannelBench bench(server);
  bench.exchange(1);
  CHECK(bench.statuses[0].code() == StatusCode::kInvalidArgument);
  CHECK(bench.statuses[0].message().find(std::string(kMaxTextBytes, 'x')) != std::string::npos);
}

}  // namespace cleave::agent
