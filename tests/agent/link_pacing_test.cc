// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <set>

#include "agent/backoff.h"
#include "agent/uplink_pacer.h"

namespace cleave::agent {

TEST_CASE("bytes leave as late as on a link of the rate, whatever the pieces") {
  UplinkPacer pacer(10'000'000);
  REQUIRE(pacer.limits());
  CHECK(pacer.chunk_bytes() == 6250);  // 5 ms
  const Clock::time_point start{std::chrono::seconds(100)};
  Clock::time_point last = start;
  for (int i = 0; i < 20; ++i) last = pacer.carried_at(6250, last);
  CHECK(last - start == std::chrono::milliseconds(100));
  // A pause is not saved up: the next bytes take their whole time again.
  const Clock::time_point later = start + std::chrono::seconds(1);
  CHECK(pacer.carried_at(1250, later) - later == std::chrono::milliseconds(1));
}

TEST_CASE("a slow link still sends whole segments, and no limit is no limit") {
  CHECK(UplinkPacer(8'000).chunk_bytes() == 1460);
  CHECK_FALSE(UplinkPacer(0).limits());
}

TEST_CASE("pauses double up to the longest, jittered within their upper half") {
  using Duration = Backoff::Duration;
  Backoff backoff(Duration(100), Duration(1000), 1);
  for (const std::int64_t full : {100, 200, 400, 800, 1000, 1000}) {
    const Duration pause = backoff.next();
    CHECK(pause.count() >= full / 2);
    CHECK(pause.count() <= full);
  }
  for (int i = 0; i < 100; ++i) CHECK(backoff.next() <= Duration(1000));
  backoff.succeeded();
  CHECK(backoff.next() <= Duration(100));
  std::set<std::int64_t> first_pauses;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    first_pauses.insert(Backoff(Duration(10'000), Duration(10'000), seed).next().count());
  }
  CHECK(first_pauses.size() > 10);
}

}  // namespace cleave::agent
