// SPDX-License-Identifier: Apache-2.0
//
// Requests that are resent, and cancelled ones: each Request gets one reply, and what was computed
// is not computed again.
#include <doctest/doctest.h>

#include <memory>

#include "schemas/protocol.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

constexpr std::uint64_t kFeatures = kFeatureResend | kFeatureCancel;
constexpr std::uint32_t kCut = 1;

}  // namespace

TEST_CASE("a request that was answered is answered again from memory, on any connection") {
  Fixture fixture;
  const std::vector<float> tensors = fixture.boundary(kCut, 1), others = fixture.boundary(kCut, 2);
  const std::vector<float> expected = fixture.expected(kCut, tensors);
  RawClient first(fixture.server.port());
  fixture.greet(first, kFeatures);
  REQUIRE(fixture.request(first, 7, kCut, tensors));
  const fbs::Answer* answer = receive_answer(first);
  CHECK(scores_of(*answer) == expected);
  CHECK_FALSE(answer->repeated());
  const std::uint64_t compute_ns = answer->compute_ns();

  const auto check_repeated = [&](RawClient& client) {
    REQUIRE(fixture.request(client, 7, kCut, tensors));
    const fbs::Answer* again = receive_answer(client);
    CHECK(again->request_id() == 7);
    CHECK(again->repeated());
    CHECK(scores_of(*again) == expected);
    CHECK(again->compute_ns() == compute_ns);  // of the first: nothing is computed
  };
  check_repeated(first);
  RawClient second(fixture.server.port());
  fixture.greet(second, kFeatures);
  check_repeated(second);

  // The next id is a request of its own.
  REQUIRE(fixture.request(second, 8, kCut, others));
  const fbs::Answer* next = receive_answer(second);
  CHECK_FALSE(next->repeated());
  CHECK(scores_of(*next) == fixture.expected(kCut, others));
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.requests == 4);
  CHECK(stats.answers == 4);
  CHECK(stats.answers_repeated == 2);
}

TEST_CASE("no answer crosses from one device to another, nor to who did not agree to it") {
  Fixture fixture;
  const std::vector<float> tensors = fixture.boundary(kCut, 1), others = fixture.boundary(kCut, 2);
  RawClient gate(fixture.server.port());
  fixture.greet(gate, kFeatures, "gate");
  REQUIRE(fixture.request(gate, 7, kCut, tensors));
  (void)receive_answer(gate);
  RawClient yard(fixture.server.port()), plain(fixture.server.port());
  fixture.greet(yard, kFeatures, "yard");
  fixture.greet(plain, 0, "gate");
  for (RawClient* client : {&yard, &plain}) {
    REQUIRE(fixture.request(*client, 7, kCut, others));
    const fbs::Answer* answer = receive_answer(*client);
    CHECK_FALSE(answer->repeated());
    CHECK(scores_of(*answer) == fixture.expected(kCut, others));
  }
  // Without the feature not even to itself.
  REQUIRE(fixture.request(plain, 7, kCut, tensors));
  CHECK(scores_of(*receive_answer(plain)) == fixture.expected(kCut, tensors));
}

TEST_CASE("a resend while the first is computed waits for it; both are answered once") {
  Fixture fixture;
  HeldWorker worker(fixture.server.tail_pool());
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  RawClient first(fixture.server.port()), second(fixture.server.port());
  fixture.greet(first, kFeatures);
  fixture.greet(second, kFeatures);
  REQUIRE(fixture.request(first, 7, kCut, tensors));
  await_pong(first);
  REQUIRE(fixture.request(second, 7, kCut, tensors));
  await_pong(second);
  REQUIRE(fixture.request(second, 7, kCut, tensors));  // on one that is open
  await_pong(second);
  worker.release();
  const fbs::Answer* answer = receive_answer(first);
  CHECK_FALSE(answer->repeated());
  CHECK(scores_of(*answer) == fixture.expected(kCut, tensors));
  for (int i = 0; i < 2; ++i) {
    answer = receive_answer(second);
    CHECK(answer->repeated());
    CHECK(scores_of(*answer) == fixture.expected(kCut, tensors));
  }
  await_pong(first);
  await_pong(second);
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.joined == 2);
  CHECK(stats.answers == 3);
  CHECK(stats.answers_repeated == 0);
}

TEST_CASE("the first connection goes away: whoever resent still gets the answer") {
  Fixture fixture;
  HeldWorker worker(fixture.server.tail_pool());
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  auto first = std::make_unique<RawClient>(fixture.server.port());
  fixture.greet(*first, kFeatures);
  REQUIRE(fixture.request(*first, 7, kCut, tensors));
  await_pong(*first);
  SUBCASE("before: what nobody waits for is taken out of the queue, and computed anew") {
    first.reset();
    fixture.await_stats([](const auto& stats) { return stats.withdrawn == 1; });
    RawClient second(fixture.server.port());
    fixture.greet(second, kFeatures);
    REQUIRE(fixture.request(second, 7, kCut, tensors));
    worker.release();
    const fbs::Answer* answer = receive_answer(second);
    CHECK_FALSE(answer->repeated());
    CHECK(scores_of(*answer) == fixture.expected(kCut, tensors));
  }
  SUBCASE("after: the computation now belongs to the second") {
    RawClient second(fixture.server.port());
    fixture.greet(second, kFeatures);
    REQUIRE(fixture.request(second, 7, kCut, tensors));
    await_pong(second);
    first.reset();
    fixture.await_stats([](const auto& stats) { return stats.unanswered == 1; });
    worker.release();
    const fbs::Answer* answer = receive_answer(second);
    CHECK(answer->repeated());
    CHECK(scores_of(*answer) == fixture.expected(kCut, tensors));
    CHECK(fixture.stats().withdrawn == 0);
  }
}

TEST_CASE("a deadline that the resend does not have does not end it") {
  Fixture fixture;
  HeldWorker worker(fixture.server.tail_pool());
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  const auto bytes = std::as_bytes(std::span(tensors));
  RawClient client(fixture.server.port());
  fixture.greet(client, kFeatures);
  REQUIRE(client.send(
      make_request({.request_id = 7, .cut = kCut, .remaining_ns = 1'000'000}, bytes.size())));
  REQUIRE(client.send(bytes));
  await_pong(client);
  REQUIRE(fixture.request(client, 7, kCut, tensors));
  await_pong(client);
  std::this_thread::sleep_for(milliseconds(5));
  worker.release();
  CHECK_FALSE(receive_answer(client)->repeated());
  CHECK(receive_answer(client)->repeated());
}

TEST_CASE("an id that was used for another request is refused") {
  Fixture fixture;
  HeldWorker worker(fixture.server.tail_pool());
  bool under_way = false, other_cut = false;
  SUBCASE("answered, another cut") { other_cut = true; }
  SUBCASE("under way, another cut") { under_way = other_cut = true; }
  SUBCASE("answered, another picture, as by an agent that counts from 1 at each start") {}
  SUBCASE("under way, another picture") { under_way = true; }
  if (!under_way) worker.release();
  RawClient client(fixture.server.port());
  fixture.greet(client, kFeatures);
  REQUIRE(fixture.request(client, 7, kCut, fixture.boundary(kCut, 1)));
  if (!under_way) (void)receive_answer(client);
  await_pong(client);
  const std::uint32_t cut = other_cut ? kCut + 1 : kCut;
  REQUIRE(fixture.request(client, 7, cut, fixture.boundary(cut, 2)));
  const fbs::Error* error = receive_error(client);
  CHECK(error->code() == fbs::ErrorCode::BadRequest);
  CHECK(error->request_id() == 7);
  CHECK(client.closed_within(5'000));
}

TEST_CASE(
    "a queued request that is cancelled is dropped and told so; the others are not affected") {
  Fixture fixture;
  HeldWorker worker(fixture.server.tail_pool());
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  RawClient client(fixture.server.port()), other(fixture.server.port());
  fixture.greet(client, kFeatures);
  fixture.greet(other, kFeatures);
  REQUIRE(fixture.request(client, 1, kCut, tensors));
  REQUIRE(fixture.request(client, 2, kCut, tensors));
  await_pong(client);
  REQUIRE(fixture.request(other, 2, kCut, tensors));  // the same, of the same device
  await_pong(other);
  for (const std::uint64_t id : {1, 2}) {
    REQUIRE(client.send(make_cancel(id)));
    const fbs::Error* error = receive_error(client);
    CHECK(error->code() == fbs::ErrorCode::Cancelled);
    CHECK(error->request_id() == id);
  }
  // Nothing under way: not an error.
  REQUIRE(client.send(make_cancel(1)));
  REQUIRE(client.send(make_cancel(99)));
  await_pong(client);
  worker.release();
  CHECK(receive_answer(other)->request_id() == 2);
  await_pong(client);  // nothing came for 2
  // A cancelled id can be asked for again.
  REQUIRE(fixture.request(client, 1, kCut, tensors));
  CHECK_FALSE(receive_answer(client)->repeated());
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.cancelled == 2);
  CHECK(stats.withdrawn == 1);
  CHECK(stats.answers == 2);
}

TEST_CASE("cancelling makes room for the next request at once") {
  Fixture fixture([](server::ServerOptions& options) { options.max_inflight = 1; });
  HeldWorker worker(fixture.server.tail_pool());
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  RawClient client(fixture.server.port());
  fixture.greet(client, kFeatures);
  REQUIRE(fixture.request(client, 1, kCut, tensors));
  REQUIRE(fixture.request(client, 2, kCut, tensors));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::Busy);
  REQUIRE(client.send(make_cancel(1)));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::Cancelled);
  REQUIRE(fixture.request(client, 2, kCut, tensors));
  worker.release();
  CHECK(receive_answer(client)->request_id() == 2);
}

}  // namespace cleave::test
