// SPDX-License-Identifier: Apache-2.0
//
// Requests that are under way for long: neither silence nor the end of the server cuts them off.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

// Milliseconds of arithmetic for a picture of a few kilobytes.
ModelBuilder slow_model() {
  ModelBuilder builder({32, 32, 3});
  Tensor x = builder.input();
  for (int i = 0; i < 5; ++i) x = builder.conv2d(x, 64, WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(builder.global_average_pool(x), 5);
  return builder;
}

constexpr std::uint32_t kMostUnderWay = 1024;

void one_worker_and_room(server::ServerOptions& options) {
  options.workers = 1;
  options.max_inflight = kMostUnderWay;
  options.queue_capacity = kMostUnderWay;
}

// Sends the requests first_id, first_id + 1, ... without waiting.
void send_batch(const Fixture& fixture, const RawClient& client, std::uint64_t first_id,
                std::uint64_t count) {
  const std::vector<float> tensors = fixture.boundary(0, 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    REQUIRE(fixture.request(client, first_id + i, 0, tensors));
  }
}

// Until all are answered; gives the longest time that one was in the server.
std::chrono::nanoseconds receive_batch(RawClient& client, std::uint64_t count) {
  std::uint64_t longest_ns = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const fbs::Envelope* reply = client.receive();
    REQUIRE_MESSAGE(reply != nullptr, "cut off");
    REQUIRE(reply->message_type() == fbs::Message::Answer);
    longest_ns = std::max(longest_ns, reply->message_as_Answer()->residence_ns());
  }
  return std::chrono::nanoseconds(longest_ns);
}

// How many requests this machine computes for longer than `wanted`; all of them were answered.
std::uint64_t batch_that_takes(milliseconds wanted, const Fixture& fixture, RawClient& client) {
  for (std::uint64_t count = 16; count <= kMostUnderWay; count *= 2) {
    send_batch(fixture, client, count, count);  // ids 16-31, 32-63, ...
    if (receive_batch(client, count) > wanted) return count;
  }
  FAIL("this machine is too fast for the slow model");
  return 0;
}

}  // namespace

TEST_CASE("an agent that waits for its answer longer than the idle timeout is not cut off") {
  constexpr milliseconds kIdle{400};
  Fixture fixture(
      [&](server::ServerOptions& options) {
        one_worker_and_room(options);
        options.idle_timeout = kIdle;
      },
      slow_model());
  RawClient busy(fixture.server.port());
  fixture.greet(busy);
  const std::uint64_t count = batch_that_takes(2 * kIdle, fixture, busy);
  send_batch(fixture, busy, 10'000, count);
  REQUIRE(busy.send(make_ping(1)));
  // The Pong says that the only worker has its work before ours comes.
  std::uint64_t answered = 0;
  while (busy.receive()->message_type() != fbs::Message::Pong) ++answered;

  RawClient patient(fixture.server.port());
  fixture.greet(patient);
  send_batch(fixture, patient, 1, 1);
  REQUIRE(receive_batch(patient, 1) > kIdle);
  receive_batch(busy, count - answered);
  // Idle from here on.
  CHECK(patient.closed_within(5'000));
}

TEST_CASE("shutdown: Goodbye, what is under way is answered, new requests are refused") {
  Fixture fixture(one_worker_and_room, slow_model());
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const std::uint64_t count = batch_that_takes(milliseconds(300), fixture, client);
  constexpr std::uint64_t kFirst = 10'000, kLate = 20'000;
  send_batch(fixture, client, kFirst, count);
  std::set<std::uint64_t> open;
  for (std::uint64_t i = 0; i < count; ++i) open.insert(kFirst + i);

  // The Pong says that every request was received.
  REQUIRE(client.send(make_ping(1)));
  std::uint64_t answers_after_goodbye = 0;
  bool goodbye = false;
  bool refused = false;
  while (const fbs::Envelope* reply = client.receive()) {
    if (reply->message_type() == fbs::Message::Pong) {
      fixture.server.begin_shutdown();
    } else if (reply->message_type() == fbs::Message::Goodbye) {
      goodbye = true;
      REQUIRE(fixture.request(client, kLate, 0, fixture.boundary(0, 1)));
    } else if (const fbs::Error* error = reply->message_as_Error()) {
      CHECK(error->request_id() == kLate);
      CHECK(error->code() == fbs::ErrorCode::ShuttingDown);
      refused = true;
    } else {
      REQUIRE(reply->message_type() == fbs::Message::Answer);
      CHECK(open.erase(reply->message_as_Answer()->request_id()) == 1);
      if (goodbye) ++answers_after_goodbye;
    }
  }
  CHECK(goodbye);
  CHECK(refused);
  CHECK(open.empty());
  CHECK(answers_after_goodbye > 1);
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.connections == 1);
  CHECK(stats.busy == 1);  // the late one
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
