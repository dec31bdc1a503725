// SPDX-License-Identifier: Apache-2.0
#include "planner/correction.h"

#include <doctest/doctest.h>

namespace cleave::planner {
namespace {

constexpr std::uint64_t kUnit = Correction::kUnit;

TEST_CASE("a table is believed until a request was seen") {
  Correction correction;
  CHECK(correction.apply(0) == 0);
  CHECK(correction.apply(12'345) == 12'345);
  correction.observe(0, 5);
  correction.observe(5, 0);
  CHECK(correction.factor() == kUnit);
}

TEST_CASE("a device half as fast as its table: every time doubles") {
  Correction correction;
  correction.observe(10'000, 20'000);
  CHECK(correction.factor() == 2 * kUnit);
  CHECK(correction.apply(7) == 14);
  CHECK(correction.apply(kSaturated) == kSaturated);
  CHECK(correction.apply(kSaturated / 2 + 1) == kSaturated);
}

TEST_CASE("one stall of five moves nothing, nor do two") {
  Correction correction;
  for (int i = 0; i < 3; ++i) correction.observe(1000, 1100);
  const std::uint64_t factor = correction.factor();
  correction.observe(1000, 90'000);
  correction.observe(1000, 90'000);
  CHECK(correction.factor() == factor);
}

TEST_CASE("a lasting change is believed at its third request") {
  Correction correction;
  for (int i = 0; i < 5; ++i) correction.observe(1000, 1000);
  for (int i = 0; i < 2; ++i) correction.observe(1000, 3000);
  CHECK(correction.factor() == kUnit);
  correction.observe(1000, 3000);
  CHECK(correction.factor() == 3 * kUnit);
}

TEST_CASE("of two requests the faster one is believed") {
  Correction correction;
  correction.observe(1000, 2000);
  correction.observe(1000, 1000);
  CHECK(correction.factor() == kUnit);
}

TEST_CASE("rounds up, and stays within 1024 times") {
  Correction correction;
  correction.observe(3, 1);
  CHECK(correction.factor() == (kUnit + 2) / 3);
  CHECK(correction.apply(1) == 1);
  correction.reset();
  CHECK(correction.factor() == kUnit);
  correction.observe(1, kSaturated);
  CHECK(correction.factor() == 1024 * kUnit);
  correction.reset();
  correction.observe(kSaturated, 1);
  CHECK(correction.factor() == kUnit / 1024);
}

TEST_CASE("a median window keeps its last values only") {
  MedianWindow<3> window;
  for (const std::uint64_t value : {9, 9, 9, 1, 5}) window.push(value);
  CHECK(window.count() == 3);
  CHECK(window.median(false) == 5);
  window.push(2);  // 1 5 2
  CHECK(window.median(true) == 2);
  window.clear();
  window.push(4);
  window.push(6);
  CHECK(window.median(false) == 4);
  CHECK(window.median(true) == 6);
}

TEST_CASE(
    "a slow machine's factor goes half the way back to one in each step, a fast one's stays") {
  Correction slow;
  for (int i = 0; i < 3; ++i) slow.observe(1000, 9000);
  CHECK(slow.faded(0).factor() == 9 * kUnit);
  CHECK(slow.faded(1).factor() == 5 * kUnit);
  CHECK(slow.faded(3).factor() == 2 * kUnit);
  CHECK(slow.faded(63).factor() == kUnit);
  CHECK(slow.faded(64).factor() == kUnit);
  CHECK(slow.faded(kSaturated).factor() == kUnit);
  // The first request after the pause is believed, whatever was seen before.
  Correction later = slow.faded(1);
  later.observe(1000, 2000);
  CHECK(later.factor() == 2 * kUnit);
  Correction fast;
  fast.observe(1000, 500);
  CHECK(fast.faded(100).factor() == kUnit / 2);
}

}  // namespace
}  // namespace cleave::planner
