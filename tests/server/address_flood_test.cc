// SPDX-License-Identifier: Apache-2.0
//
// A flood of connections from one address does not keep an agent at another from being answered.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

constexpr std::uint8_t kFlooder = 2, kAgent = 3;
constexpr unsigned kAttempts = 10'000;
// Those that the flooder keeps open, silent: many more than one address may have in a handshake.
constexpr std::size_t kKept = 400;

// Whether a client from there is welcomed, once the server has noticed who has left.
bool comes_in(const Fixture& fixture, std::uint8_t from) {
  for (int i = 0; i < 100; ++i) {
    RawClient next(fixture.server.port(), 0, from);
    if (next.send(make_hello({.device = "test", .model_identity = fixture.identity()}))) {
      const fbs::Envelope* reply = next.receive();
      if (reply != nullptr && reply->message_type() == fbs::Message::Welcome) return true;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

}  // namespace

TEST_CASE("10,000 connection attempts from one address; another address's agent is answered") {
  Fixture fixture;
  const std::vector<float> tensors = fixture.boundary(1, 1);
  const std::vector<float> expected = fixture.expected(1, tensors);
  std::atomic<bool> flooding{true};
  std::thread flooder([&] {
    std::vector<std::unique_ptr<RawClient>> kept(kKept);
    for (unsigned i = 0; i < kAttempts; ++i) {
      kept[i % kKept] = std::make_unique<RawClient>(fixture.server.port(), 0, kFlooder);
    }
    flooding = false;
  });
  const auto start = std::chrono::steady_clock::now();
  auto longest = std::chrono::steady_clock::duration::zero();
  unsigned answered = 0;
  while (flooding || answered == 0) {
    const auto before = std::chrono::steady_clock::now();
    // Over the time of the flood it stays within the rate of its own address.
    RawClient agent(fixture.server.port(), 0, kAgent);
    fixture.greet(agent);
    REQUIRE(fixture.request(agent, 1, 1, tensors));
    CHECK(scores_of(*receive_answer(agent)) == expected);
    ++answered;
    longest = std::max(longest, std::chrono::steady_clock::now() - before);
    std::this_thread::sleep_for(milliseconds(20));
  }
  flooder.join();
  CHECK(longest < std::chrono::seconds(5));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
  const server::ServerStats stats = fixture.stats();
  MESSAGE(answered << " answers, the slowest after "
                   << std::chrono::duration_cast<milliseconds>(longest).count() << " ms");
  CHECK(stats.answers == answered);
  CHECK(stats.refused_address_rate > kAttempts / 2);
}

TEST_CASE("handshakes of one address that say nothing are bounded, and end; others come in") {
  Fixture fixture([](server::ServerOptions& options) {
    options.address.max_handshakes = 5;
    options.handshake_timeout = milliseconds(400);
  });
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 5; ++i) {
    silent.push_back(std::make_unique<RawClient>(fixture.server.port(), 0, kFlooder));
  }
  RawClient one_more(fixture.server.port(), 0, kFlooder);
  CHECK(one_more.closed_within(5'000));
  RawClient agent(fixture.server.port(), 0, kAgent);
  fixture.greet(agent);
  for (const auto& client : silent) CHECK(client->closed_within(5'000));
  fixture.await_stats([](const auto& stats) { return stats.handshake_timeouts == 5; });
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.refused_address_handshakes == 1);
  CHECK(stats.sessions == 1);
  CHECK(comes_in(fixture, kFlooder));
}

TEST_CASE("connections of one address are bounded after their handshake too") {
  Fixture fixture([](server::ServerOptions& options) { options.address.max_connections = 2; });
  auto first = std::make_unique<RawClient>(fixture.server.port(), 0, kFlooder);
  RawClient second(fixture.server.port(), 0, kFlooder);
  fixture.greet(*first);
  fixture.greet(second);
  RawClient third(fixture.server.port(), 0, kFlooder);
  CHECK(third.closed_within(5'000));
  RawClient agent(fixture.server.port(), 0, kAgent);
  fixture.greet(agent);
  REQUIRE(first->send(make_goodbye("done")));
  CHECK(first->closed_within(5'000));
  first.reset();
  CHECK(comes_in(fixture, kFlooder));
}

}  // namespace cleave::test
