// SPDX-License-Identifier: Apache-2.0
#include "agent/heartbeat.h"

#include <doctest/doctest.h>

namespace cleave::agent {

using Step = Heartbeat::Step;

TEST_CASE("a Ping at each look before which nothing was sent") {
  Heartbeat heartbeat;
  CHECK(heartbeat.look({.sent = 100, .received = 50, .acknowledged = 100}) == Step::kWait);
  CHECK(heartbeat.look({.sent = 100, .received = 50, .acknowledged = 100}) == Step::kPing);
  CHECK(heartbeat.look({.sent = 140, .received = 90, .acknowledged = 140}) == Step::kWait);
  CHECK(heartbeat.look({.sent = 140, .received = 90, .acknowledged = 140}) == Step::kPing);
}

TEST_CASE("a server is gone after three intervals in which nothing came and nothing moved") {
  constexpr std::uint32_t kLooks = Heartbeat::kLooksPerInterval * kHeartbeatsBeforeGone;
  Heartbeat heartbeat;
  CHECK(heartbeat.look({.sent = 100, .received = 50, .acknowledged = 100}) == Step::kWait);
  std::uint64_t sent = 100;
  for (std::uint32_t look = 0; look < kLooks; ++look) {
    CAPTURE(look);
    CHECK(heartbeat.look({.sent = sent += 40, .received = 50, .acknowledged = 100}) == Step::kWait);
  }
  SUBCASE("now") {
    CHECK(heartbeat.look({.sent = sent, .received = 50, .acknowledged = 100}) == Step::kGone);
  }
  SUBCASE("not if something came") {
    CHECK(heartbeat.look({.sent = sent, .received = 51, .acknowledged = 100}) == Step::kPing);
  }
  SUBCASE("not if a long attachment moves") {
    CHECK(heartbeat.look({.sent = sent, .received = 50, .acknowledged = 101}) == Step::kPing);
  }
}

}  // namespace cleave::agent
