// SPDX-License-Identifier: Apache-2.0
//
// What passed between two readings of a machine's clocks, and that no date makes what waits older
// than it is.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <memory>

#include "agent/spool/ledger.h"
#include "tests/agent/spool/test_time.h"
#include "tests/support/forgetful_folder.h"

namespace cleave::test {
namespace {

using namespace agent;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kNow = 1'790'000'000 * kSecond;  // in 2026
constexpr std::int64_t kFirst =
    1'704'067'200 * kSecond;  // of 2024: clocks before it were never set
constexpr BootId kOne{std::byte{1}}, kOther{std::byte{2}}, kUnknown{};

std::uint64_t elapsed(std::int64_t wall_before, std::int64_t boot_before, std::int64_t wall_now,
                      std::int64_t boot_now, const BootId& boot_id_now = kOther,
                      const BootId& boot_id_before = kOne) {
  return elapsed_ns({wall_before, static_cast<std::uint64_t>(boot_before), boot_id_before},
                    {wall_now, static_cast<std::uint64_t>(boot_now), boot_id_now});
}

}  // namespace

TEST_CASE("without a restart the time since boot is exact, whatever the date does") {
  for (const std::int64_t date : {kNow, kNow - 1000 * kHour, kNow + 1000 * kHour, kSecond}) {
    CAPTURE(date);
    CHECK(elapsed(kNow, 100 * kSecond, date, 107 * kSecond, kOne) == 7 * kSecond);
  }
  CHECK(elapsed(kNow, 100 * kSecond, kNow, 100 * kSecond, kOne) == 0);
}

TEST_CASE("over a restart it is the date's difference, at least the time since boot") {
  CHECK(elapsed(kNow, 100 * kSecond, kNow + 2 * kHour, 5 * kSecond) == 2 * kHour);
  CHECK(elapsed(kFirst, 100 * kSecond, kFirst + 1, 0) == 1);
  // Up for longer than the dates say: the date was corrected meanwhile.
  CHECK(elapsed(kNow, 100 * kSecond, kNow + kSecond, kHour) == kHour);
}

TEST_CASE("over a restart a date that was set back, or never set, says nothing") {
  CHECK(elapsed(kNow, 100 * kSecond, kNow - 1, 5 * kSecond) == 5 * kSecond);
  CHECK(elapsed(kNow, 100 * kSecond, kNow - 1000 * kHour, 5 * kSecond) == 5 * kSecond);
  CHECK(elapsed(kNow, 9 * kHour, 0, 5 * kSecond) == 5 * kSecond);
  CHECK(elapsed(kNow, 100 * kSecond, INT64_MIN, 5 * kSecond) == 5 * kSecond);
  // It was set since: that is not 56 years.
  CHECK(elapsed(0, 100 * kSecond, kNow, 5 * kSecond) == 5 * kSecond);
  CHECK(elapsed(kFirst - 1, 100 * kSecond, kNow, 5 * kSecond) == 5 * kSecond);
  CHECK(elapsed(INT64_MIN, 0, INT64_MAX, 5 * kSecond) == 5 * kSecond);
}

TEST_CASE("what cannot be is taken for a restart") {
  // A kernel that does not tell its boots apart.
  CHECK(elapsed(kNow, 100 * kSecond, kNow + kHour, 107 * kSecond, kUnknown, kUnknown) == kHour);
  CHECK(elapsed(kNow, 100 * kSecond, kNow - kHour, 107 * kSecond, kUnknown, kUnknown) ==
        107 * kSecond);
  // One boot in which the time since boot went back: the record lies.
  CHECK(elapsed(kNow, 100 * kSecond, kNow + kHour, 5 * kSecond, kOne) == kHour);
  CHECK(elapsed(kNow, -1, INT64_MAX, 0) == static_cast<std::uint64_t>(INT64_MAX - kNow));
}

TEST_CASE("a picture waits out its time over a restart with the date set back") {
  ForgetfulFolder folder;
  TestTime time;
  LedgerOptions options;
  options.ttl_ns = 60 * kSecondNs;
  std::uint64_t next_id = 1;
  options.spool.random = [&] { return next_id++; };
  std::size_t dropped = 0;
  const auto open = [&] {
    auto ledger = Ledger::open(&folder, folder, "results", time, options, [&](const Dropped& each) {
      CHECK(each.reason == kDroppedExpired);
      ++dropped;
    });
    REQUIRE_MESSAGE(ledger.is_ok(), ledger.status().message());
    return std::move(ledger).value();
  };
  {
    const auto ledger = open();
    const std::uint64_t id = ledger->accept({.name = "a.jpg", .path = "/none"});
    const std::array<std::byte, 4> file{};
    const std::array<std::span<const std::byte>, 1> parts{file};
    REQUIRE(ledger->keep(id, PayloadHead{}, parts) == Ledger::Kept::kCopied);
    time.pass(30 * kSecondNs);
    REQUIRE(ledger->close().is_ok());
  }
  time.restart(0);  // 5 s ago
  time.reading.wall_ns -= 1000 * kHour;
  const auto ledger = open();
  CHECK(ledger->next() != nullptr);  // 35 s old
  time.reading.wall_ns += 3000 * kHour;
  CHECK(ledger->next() != nullptr);
  time.pass(20 * kSecondNs);
  CHECK(ledger->next() != nullptr);
  CHECK(dropped == 0);
  time.pass(10 * kSecondNs);
  CHECK(ledger->next() == nullptr);
  CHECK(dropped == 1);
}

}  // namespace cleave::test
