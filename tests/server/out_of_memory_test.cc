// SPDX-License-Identifier: Apache-2.0
//
// A session for which there is no memory ends; the server goes on, and still ends in order.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>

#include "tests/server/failing_memory.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

// A session that leaked would hold the end up until the drain timeout, and longer.
void check_ends_at_once(Fixture& fixture) {
  const auto start = std::chrono::steady_clock::now();
  fixture.server.stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

}  // namespace

TEST_CASE("a session whose writer fails is closed all the same") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  // What the writer does last is the only thing in a session that takes a page at a time.
  fixture.server.on_network_thread([] { fail_aligned_alloc_from(4096); });
  REQUIRE(client.send(make_goodbye("done")));
  CHECK(client.closed_within(5'000));
  bool failed = false;
  fixture.server.on_network_thread([&] { failed = stop_failing(); });
  CHECK(failed);
  check_ends_at_once(fixture);
}

TEST_CASE("whichever allocation of a session fails, only that session ends") {
  Fixture fixture;
  constexpr std::uint32_t kCut = 1;
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  const std::vector<float> expected = fixture.expected(kCut, tensors);
  // As far as the server lets it go.
  const auto use = [&](RawClient& client) {
    if (!client.send(make_hello("test", fixture.identity()))) return false;
    if (client.receive() == nullptr) return false;
    if (!fixture.request(client, 1, kCut, tensors)) return false;
    const fbs::Envelope* reply = client.receive();
    if (reply == nullptr || reply->message_as_Answer() == nullptr) return false;
    const auto& scores = *reply->message_as_Answer()->scores();
    CHECK(std::vector<float>(scores.begin(), scores.end()) == expected);
    return client.send(make_goodbye("done")) && client.closed_within(5'000);
  };
  int failures = 0, ended = 0;
  std::uint64_t connected = 0;
  for (bool failed = true; failed; failures += failed) {
    REQUIRE(failures < 500);
    CAPTURE(failures);
    {
      // Accepting is Asio's; what is tried here is ours, from Hello on.
      RawClient unlucky(fixture.server.port());
      ++connected;
      for (bool accepted = false; !accepted;) {
        fixture.server.on_network_thread([&] {
          accepted = fixture.server.stats().connections == connected;
          if (accepted) fail_operator_new(failures);
        });
      }
      ended += use(unlucky) ? 0 : 1;
    }
    fixture.server.on_network_thread([&] { failed = stop_failing(); });
    RawClient next(fixture.server.port());
    ++connected;
    CHECK(use(next));
  }
  CHECK(failures >= 8);  // its texts, messages, request, buffers and answer at the least
  CHECK(ended >= 8);
  check_ends_at_once(fixture);
}

}  // namespace cleave::test
