// SPDX-License-Identifier: Apache-2.0
//
// A flood of connections from one address does not keep an agent at another from being answered.
#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

#include "tests/server/flood.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

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

TEST_CASE("a flood of connection attempts from one address; another address's agent is answered") {
  Fixture fixture;
  const std::vector<float> tensors = fixture.boundary(1, 1);
  const std::vector<float> expected = fixture.expected(1, tensors);
  // They stay, silent.
  std::vector<std::unique_ptr<RawClient>> kept(kFloodKept);
  const auto flood = [&] {
    for (unsigned i = 0; i < kFloodAttempts; ++i) {
      kept[i % kFloodKept] = std::make_unique<RawClient>(fixture.server.port(), 0, kFlooderAddress);
    }
  };
  const unsigned answered = answers_beside(kFloodAttempts, flood, [&] {
    RawClient agent(fixture.server.port(), 0, kAgentAddress);
    fixture.greet(agent);
    REQUIRE(fixture.request(agent, 1, 1, tensors));
    return scores_of(*receive_answer(agent)) == expected;
  });
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.answers == answered);
  CHECK(stats.refused_address_rate > kFloodAttempts / 2);
}

TEST_CASE("handshakes of one address that say nothing are bounded, and end; others come in") {
  Fixture fixture([](server::ServerOptions& options) {
    options.address.max_handshakes = 5;
    options.handshake_timeout = milliseconds(2'000);
  });
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 5; ++i) {
    silent.push_back(std::make_unique<RawClient>(fixture.server.port(), 0, kFlooderAddress));
  }
  RawClient one_more(fixture.server.port(), 0, kFlooderAddress);
  CHECK(one_more.closed_within(5'000));
  RawClient agent(fixture.server.port(), 0, kAgentAddress);
  fixture.greet(agent);
  for (const auto& client : silent) CHECK(client->closed_within(5'000));
  fixture.await_stats([](const auto& stats) { return stats.handshake_timeouts == 5; });
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.refused_address_handshakes == 1);
  CHECK(stats.sessions == 1);
  CHECK(comes_in(fixture, kFlooderAddress));
}

TEST_CASE("connections of one address are bounded after their handshake too") {
  Fixture fixture([](server::ServerOptions& options) { options.address.max_connections = 2; });
  auto first = std::make_unique<RawClient>(fixture.server.port(), 0, kFlooderAddress);
  RawClient second(fixture.server.port(), 0, kFlooderAddress);
  fixture.greet(*first);
  fixture.greet(second);
  RawClient third(fixture.server.port(), 0, kFlooderAddress);
  CHECK(third.closed_within(5'000));
  RawClient agent(fixture.server.port(), 0, kAgentAddress);
  fixture.greet(agent);
  REQUIRE(first->send(make_goodbye("done")));
  CHECK(first->closed_within(5'000));
  first.reset();
  CHECK(comes_in(fixture, kFlooderAddress));
}

}  // namespace cleave::test
