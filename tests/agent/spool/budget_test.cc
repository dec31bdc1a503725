// SPDX-License-Identifier: Apache-2.0
//
// The write budget against what a disk was given, counted by the disk: within it, refilled as time
// passes, and not forgotten over a restart.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/spool/ledger.h"
#include "tests/agent/spool/test_time.h"
#include "tests/support/forgetful_folder.h"

namespace cleave::test {
namespace {

using namespace agent;

constexpr std::uint64_t kHourNs = 3600 * kSecondNs;
constexpr std::uint64_t kDayNs = 24 * kHourNs;
constexpr std::uint64_t kBudgetBytes = 5'000'000;
constexpr std::size_t kPictureBytes = 500'000;
constexpr std::uint64_t kPicturesADay = 40;  // four times what the budget is for
constexpr std::uint64_t kDays = 3;

// Before the first record: the log's first line, and its syncs.
constexpr std::uint64_t kLogStartBytes = 16'000;
// What a run wrote behind its last record is forgotten when it is killed: a line of the log, and
// synced blocks.
constexpr std::uint64_t kForgottenBytes = 16'000;

enum class Restarts { kNone, kInOrder, kKilled };

// A device at an SD card, without a server for three days.
struct Outage {
  ForgetfulFolder folder;
  TestTime time;
  LedgerOptions options;
  std::mt19937_64 ids{7};
  std::unique_ptr<Ledger> ledger;
  std::uint64_t passed_ns = 0;
  std::uint64_t copies = 0, by_reference = 0, restarts = 0;

  explicit Outage(SyncPolicy sync) {
    options.spool.budget = {.bytes = kBudgetBytes, .window_ns = kDayNs};
    options.spool.sync = sync;
    options.spool.limit_bytes = 4 << 20;  // a segment is as small as a picture
    options.spool.random = [this] { return ids(); };
  }

  void open() {
    ledger.reset();
    auto opened = Ledger::open(&folder, folder, "results", time, options, [](const Dropped&) {});
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
    ledger = std::move(opened).value();
  }
  void restart(Restarts kind) {
    if (kind == Restarts::kNone) return;
    if (kind == Restarts::kInOrder) REQUIRE(ledger->close().is_ok());
    time.restart(kHourNs / 4);
    passed_ns += kHourNs / 4;
    ++restarts;
    open();
  }
  void pass(std::uint64_t ns) {
    time.pass(ns);
    passed_ns += ns;
    ledger->tick();
  }

  // What the card had to write: bytes, and the block of each sync.
  [[nodiscard]] std::uint64_t written() const {
    return folder.appended_bytes() + folder.syncs() * kSyncedBlockBytes;
  }
  [[nodiscard]] std::uint64_t allowed() const {
    return kBudgetBytes + kBudgetBytes * (passed_ns / kSecondNs) / (kDayNs / kSecondNs);
  }

  std::uint64_t wait_for_a_server() {
    const std::uint64_t id = ledger->accept({.name = "a.jpg", .path = "/none"});
    const std::vector<std::byte> file(kPictureBytes, std::byte{1});
    const std::array<std::span<const std::byte>, 1> parts{file};
    const Ledger::Kept kept = ledger->keep(id, PayloadHead{}, parts);
    REQUIRE((kept == Ledger::Kept::kCopied || kept == Ledger::Kept::kByReference));
    ++(kept == Ledger::Kept::kCopied ? copies : by_reference);
    return id;
  }
};

}  // namespace

TEST_CASE("what the card is given stays within the budget, and the budget is used") {
  for (const SyncKind sync : {SyncKind::kAlways, SyncKind::kInterval}) {
    for (const Restarts restarts : {Restarts::kNone, Restarts::kInOrder, Restarts::kKilled}) {
      CAPTURE(static_cast<int>(sync));
      CAPTURE(static_cast<int>(restarts));
      Outage outage({.kind = sync, .interval_ns = 10 * kSecondNs});
      outage.open();
      for (std::uint64_t i = 0; i < kDays * kPicturesADay; ++i) {
        const std::uint64_t id = outage.wait_for_a_server();
        REQUIRE(outage.written() <=
                outage.allowed() + kLogStartBytes +
                    (restarts == Restarts::kKilled ? outage.restarts : 0) * kForgottenBytes);
        outage.restart(restarts);
        outage.pass(kDayNs / kPicturesADay - (restarts == Restarts::kNone ? 0 : kHourNs / 4));
        REQUIRE(outage.ledger->dropped(id, kDroppedExpired, "").is_ok());
      }
      CHECK(outage.passed_ns == kDays * kDayNs);
      CHECK(outage.by_reference > 0);
      // A full bucket and three refills, less what records and syncs took.
      CHECK(outage.copies * kPictureBytes > kBudgetBytes * (kDays + 1) * 6 / 10);
      CHECK(outage.copies * kPictureBytes < kBudgetBytes * (kDays + 1));
    }
  }
}

TEST_CASE("records go on beyond the budget: they are what nothing is lost by") {
  Outage outage({});
  outage.options.spool.budget.bytes = 1'000;
  outage.open();
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t id = outage.wait_for_a_server();
    REQUIRE(outage.ledger->find(id) != nullptr);
  }
  CHECK(outage.copies == 0);
  outage.restart(Restarts::kKilled);
  CHECK(outage.ledger->waiting() == 10);
}

TEST_CASE("a budget is empty again after its window, however often it is looked at") {
  constexpr WriteBudget kSmall{.bytes = 1'000, .window_ns = kHourNs};
  constexpr std::uint64_t kSteps_s[] = {1, 7, 60, 3600};
  for (const std::uint64_t step_s : kSteps_s) {
    CAPTURE(step_s);
    WriteBucket bucket(kSmall, 0, 0);
    bucket.add(1'000, 0);
    CHECK_FALSE(bucket.has_room_for(1, 0));
    std::uint64_t now_ns = 0;
    while (now_ns + step_s * kSecondNs <= kHourNs) {
      now_ns += step_s * kSecondNs;
      // Never sooner than time allows.
      CHECK(1'000 - bucket.level(now_ns) <= now_ns / kSecondNs * 1'000 / 3'600);
    }
    CHECK(bucket.level(kHourNs) <= 1);
    CHECK(bucket.has_room_for(999, kHourNs));
    // A quiet day allows for no more than one budget at once.
    CHECK_FALSE(bucket.has_room_for(1'001, 25 * kHourNs));
  }
}

TEST_CASE("what was written without a budget does not use one up for longer than its window") {
  Outage outage({});
  outage.options.spool.budget = {};
  outage.options.spool.limit_bytes = 64 << 20;
  outage.open();
  for (int i = 0; i < 30; ++i) (void)outage.wait_for_a_server();
  CHECK(outage.copies == 30);  // three budgets
  REQUIRE(outage.ledger->close().is_ok());
  outage.options.spool.budget = {.bytes = kBudgetBytes, .window_ns = kDayNs};
  outage.open();
  (void)outage.wait_for_a_server();
  CHECK(outage.copies == 30);
  outage.pass(kDayNs / 2);
  (void)outage.wait_for_a_server();
  CHECK(outage.copies == 31);
}

}  // namespace cleave::test
