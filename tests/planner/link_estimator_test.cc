// SPDX-License-Identifier: Apache-2.0
#include "planner/link_estimator.h"

#include <doctest/doctest.h>

#include "planner/cost_model.h"
#include "tests/planner/planner_fixture.h"

namespace cleave::planner {
namespace {

using namespace testing;

// A transfer as a link of that bandwidth and RTT would time it.
Transfer over(const Link& link, std::uint64_t bytes) {
  return {.bytes_up = bytes, .elapsed_ns = transmit_ns(bytes, link)};
}

const Link kTenMbit = link_of(10'000'000, 40 * kMillisecond);

TEST_CASE("until something was transferred the estimate is the initial one") {
  CHECK(LinkEstimator().link().bandwidth_bps == 10'000'000);
  CHECK_FALSE(LinkEstimator().link().available);
  LinkEstimator given(link_of(2'000'000, 7));
  CHECK(given.link().bandwidth_bps == 2'000'000);
  CHECK(given.link().rtt_ns == 7);
  CHECK(given.link().available);
  given.observe({.bytes_up = 100'000, .elapsed_ns = 0});
  CHECK(given.link().bandwidth_bps == 2'000'000);
  CHECK(given.link().rtt_ns == 7);
}

TEST_CASE("a small message tells the RTT, then a large one the goodput") {
  LinkEstimator estimator;
  estimator.observe(over(kTenMbit, 1000));
  CHECK(estimator.link().rtt_ns == 40 * kMillisecond);
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
  const Link fast = link_of(50'000'000, 40 * kMillisecond);
  estimator.observe(over(fast, 500'000));
  CHECK(estimator.link().bandwidth_bps == 50'000'000);
  CHECK(estimator.link().rtt_ns == 40 * kMillisecond);
}

TEST_CASE("the boundary between small and large is one segment") {
  LinkEstimator estimator(link_of(10'000'000));
  estimator.observe({.bytes_up = LinkEstimator::kSmallBytes, .elapsed_ns = 11'168'000});
  CHECK(estimator.link().rtt_ns == 10'000'000);  // 1460 bytes take 1.168 ms
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
  estimator.observe({.bytes_up = LinkEstimator::kSmallBytes + 1, .elapsed_ns = 11'168'800});
  CHECK(estimator.link().rtt_ns == 10'000'000);
  CHECK(estimator.link().bandwidth_bps == 1461ull * 8 * 1'000'000'000 / 1'168'800);
}

TEST_CASE("one stall among five moves nothing, nor do two in a row") {
  LinkEstimator estimator;
  estimator.observe(over(kTenMbit, 100));
  for (int i = 0; i < 5; ++i) estimator.observe(over(kTenMbit, 100'000));
  for (int i = 0; i < 2; ++i) {
    Transfer stalled = over(kTenMbit, 100'000);
    stalled.elapsed_ns += 3'000 * kMillisecond;
    estimator.observe(stalled);
    CHECK(estimator.link().bandwidth_bps == 10'000'000);
  }
}

TEST_CASE("a stall on the second transfer ever is taken for a stall, not for the link") {
  LinkEstimator estimator;
  estimator.observe(over(kTenMbit, 100));
  estimator.observe({.bytes_up = 100, .elapsed_ns = 900 * kMillisecond});
  CHECK(estimator.link().rtt_ns == 40 * kMillisecond);
  estimator.observe(over(kTenMbit, 100'000));
  estimator.observe({.bytes_up = 100'000, .elapsed_ns = 9'000 * kMillisecond});
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
}

TEST_CASE("a lasting change is believed at its third transfer, in both directions") {
  for (const std::uint64_t mbit : {1, 100}) {
    LinkEstimator estimator;
    estimator.observe(over(kTenMbit, 100));
    for (int i = 0; i < 7; ++i) estimator.observe(over(kTenMbit, 100'000));
    const Link changed = link_of(mbit * 1'000'000, 40 * kMillisecond);
    estimator.observe(over(changed, 100'000));
    estimator.observe(over(changed, 100'000));
    CHECK(estimator.link().bandwidth_bps == 10'000'000);
    estimator.observe(over(changed, 100'000));
    CHECK(estimator.link().bandwidth_bps == mbit * 1'000'000);
  }
}

TEST_CASE("a large transfer faster than the believed RTT lowers the RTT") {
  LinkEstimator estimator(link_of(10'000'000, 80 * kMillisecond));
  estimator.observe({.bytes_up = 20'000, .elapsed_ns = 30 * kMillisecond});
  CHECK(estimator.link().rtt_ns == 30 * kMillisecond);
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
}

TEST_CASE("an RTT below the time of its own bytes is zero, not huge") {
  LinkEstimator estimator(link_of(500'000));
  estimator.observe({.bytes_up = 1000, .elapsed_ns = kMillisecond});  // 16 ms at 0.5 Mbit/s
  CHECK(estimator.link().rtt_ns == 0);
}

TEST_CASE("a link slower than one bit a second is still a link") {
  LinkEstimator estimator;
  estimator.observe({.bytes_up = 2000, .elapsed_ns = kMax});
  CHECK(estimator.link().bandwidth_bps == 1);
}

TEST_CASE("a round trip that was measured for itself is not counted in the goodput as well") {
  LinkEstimator estimator;
  estimator.observe_round_trip(40 * kMillisecond);
  estimator.observe(over(kTenMbit, 100'000));
  CHECK(estimator.link().rtt_ns == 40 * kMillisecond);
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
  // The next handshake's word counts at once.
  estimator.observe_round_trip(7 * kMillisecond);
  CHECK(estimator.link().rtt_ns == 7 * kMillisecond);
}

TEST_CASE(
    "without transfers a slow link's estimate drifts to the initial one, a fast one's stays") {
  LinkEstimator estimator(link_of(10'000'000, 0));
  estimator.observe_round_trip(100 * kMillisecond);
  for (int i = 0; i < 5; ++i) estimator.observe(over(link_of(1'000'000, 100'000'000), 100'000));
  CHECK(estimator.drifted(0).bandwidth_bps == 1'000'000);
  CHECK(estimator.drifted(1).bandwidth_bps == 2'000'000);
  CHECK(estimator.drifted(1).rtt_ns == 50 * kMillisecond);
  CHECK(estimator.drifted(3).bandwidth_bps == 8'000'000);
  CHECK(estimator.drifted(4).bandwidth_bps == 10'000'000);
  CHECK(estimator.drifted(UINT64_MAX).bandwidth_bps == 10'000'000);
  CHECK(estimator.drifted(UINT64_MAX).rtt_ns == 0);
  CHECK(estimator.link().bandwidth_bps == 1'000'000);
  // The first transfer after the pause is believed: what was before it is forgotten.
  estimator.drift(4);
  estimator.observe_round_trip(0);
  estimator.observe(over(link_of(20'000'000), 100'000));
  CHECK(estimator.link().bandwidth_bps == 20'000'000);
  CHECK(estimator.drifted(9).bandwidth_bps == 20'000'000);
}

TEST_CASE("an outage keeps what was measured, a reset forgets it") {
  LinkEstimator estimator;
  estimator.observe(over(kTenMbit, 100));
  estimator.observe(over(link_of(3'000'000, 40 * kMillisecond), 300'000));
  estimator.set_available(true);
  CHECK(estimator.link().available);
  CHECK(estimator.link().bandwidth_bps == 3'000'000);
  estimator.reset();
  CHECK(estimator.link().available);
  CHECK(estimator.link().bandwidth_bps == 10'000'000);
  CHECK(estimator.link().rtt_ns == 0);
  // Of two samples the one of the faster link counts: these would lose against what came before.
  const Link slower = link_of(2'000'000, 90 * kMillisecond);
  estimator.observe({.bytes_up = 0, .elapsed_ns = slower.rtt_ns});
  CHECK(estimator.link().rtt_ns == slower.rtt_ns);
  estimator.observe(over(slower, 100'000));
  CHECK(estimator.link().bandwidth_bps == 2'000'000);
}

}  // namespace
}  // namespace cleave::planner
