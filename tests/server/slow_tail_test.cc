// SPDX-License-Identifier: Apache-2.0
//
// Requests that are under way for long: neither silence nor the end of the server cuts them off.
#include <doctest/doctest.h>

#include <set>

#include "tests/server/session_fixture.h"

namespace cleave::test {

TEST_CASE("an agent that waits for its answer longer than the idle timeout is not cut off") {
  constexpr milliseconds kIdle{1'000};
  Fixture fixture([&](server::ServerOptions& options) { options.idle_timeout = kIdle; });
  HeldWorker worker(fixture.server.tail_pool());
  RawClient patient(fixture.server.port());
  fixture.greet(patient);
  REQUIRE(fixture.request(patient, 1, 0, fixture.boundary(0, 1)));
  await_pong(patient);
  CHECK_FALSE(patient.closed_within(2 * kIdle.count()));
  worker.release();

  const fbs::Envelope* reply = patient.receive();
  REQUIRE_MESSAGE(reply != nullptr, "cut off");
  REQUIRE(reply->message_type() == fbs::Message::Answer);
  CHECK(std::chrono::nanoseconds(reply->message_as_Answer()->residence_ns()) > kIdle);
  // Idle from here on.
  CHECK(patient.closed_within(5'000));
}

TEST_CASE("shutdown: Goodbye, what is under way is answered, new requests are refused") {
  constexpr std::uint64_t kCount = 4, kLate = 20'000;
  Fixture fixture([](server::ServerOptions& options) { options.max_inflight = kCount; });
  HeldWorker worker(fixture.server.tail_pool());
  RawClient client(fixture.server.port());
  fixture.greet(client);
  std::set<std::uint64_t> open;
  for (std::uint64_t id = 1; id <= kCount; ++id) {
    REQUIRE(fixture.request(client, id, 0, fixture.boundary(0, 1)));
    open.insert(id);
  }
  // The Pong says that every request was received.
  REQUIRE(client.send(make_ping(1)));
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Pong);

  fixture.server.begin_shutdown();
  reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Goodbye);
  REQUIRE(fixture.request(client, kLate, 0, fixture.boundary(0, 1)));
  const fbs::Error* refused = receive_error(client);
  CHECK(refused->request_id() == kLate);
  CHECK(refused->code() == fbs::ErrorCode::ShuttingDown);

  worker.release();
  while (!open.empty()) {
    reply = client.receive();
    REQUIRE_MESSAGE(reply != nullptr, "cut off");
    REQUIRE(reply->message_type() == fbs::Message::Answer);
    CHECK(open.erase(reply->message_as_Answer()->request_id()) == 1);
  }
  CHECK(client.closed_within(5'000));
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.connections == 1);
  CHECK(stats.answers == kCount);
  CHECK(stats.busy == 1);  // the late one
}

TEST_CASE("shutdown: what is not done within the drain timeout is closed, and counted") {
  constexpr milliseconds kDrain{200};
  Fixture fixture([&](server::ServerOptions& options) { options.drain_timeout = kDrain; });
  const std::vector<float> tensors = fixture.boundary(2, 1);
  HeldWorker worker(fixture.server.tail_pool());
  RawClient waiting(fixture.server.port()), half_sent(fixture.server.port());
  fixture.greet(waiting);
  fixture.greet(half_sent);
  REQUIRE(fixture.request(waiting, 1, 2, tensors));
  await_pong(waiting);
  REQUIRE(half_sent.send(make_request({.request_id = 2, .cut = 2}, tensors.size() * 4)));
  fixture.await_stats([](const auto& now) { return now.requests == 2; });
  const auto start = std::chrono::steady_clock::now();
  fixture.server.begin_shutdown();
  for (RawClient* client : {&waiting, &half_sent}) {
    const fbs::Envelope* reply = client->receive();
    REQUIRE(reply != nullptr);
    CHECK(reply->message_type() == fbs::Message::Goodbye);
    CHECK(client->closed_within(5'000));
  }
  CHECK(std::chrono::steady_clock::now() - start >= kDrain);
  worker.release();
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.answers == 0);
  CHECK(stats.unanswered == 2);
  CHECK(ends_of_requests(stats) == stats.requests);
}

TEST_CASE("shutdown with nothing under way: Goodbye, and the end") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  fixture.server.begin_shutdown();
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  CHECK(reply->message_type() == fbs::Message::Goodbye);
  CHECK(client.closed_within(5'000));
}

}  // namespace cleave::test
