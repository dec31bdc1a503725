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

}  // namespace cleave::test
