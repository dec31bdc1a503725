// SPDX-License-Identifier: Apache-2.0
//
// Room for a new picture in a spool that is full: the oldest are dropped, as few as free a segment,
// and none where that would free none.
#include <doctest/doctest.h>

#include <algorithm>
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
using Kept = Ledger::Kept;

constexpr std::uint64_t kLimitBytes = 1 << 20;
constexpr std::uint64_t kSegmentBytes = kLimitBytes / 8;
constexpr std::size_t kPictureBytes = 12'000;
constexpr std::uint64_t kOneSegment =
    kSegmentBytes / kPictureBytes + 2;  // pictures that are copied

// A device whose server is not there.
struct Outage {
  ForgetfulFolder folder;
  TestTime time;
  LedgerOptions options;
  std::mt19937_64 ids{7};
  std::vector<std::string> dropped;  // names, in this order
  std::unique_ptr<Ledger> ledger;
  std::uint64_t accepted = 0;

  explicit Outage(SyncKind sync) {
    options.spool.limit_bytes = kLimitBytes;
    options.spool.sync.kind = sync;
    options.spool.sync.interval_ns = 10 * kSecondNs;
    options.spool.random = [this] { return ids(); };
  }
  void open() {
    ledger.reset();
    auto opened = Ledger::open(&folder, folder, "results", time, options,
                               [this](const Dropped& drop) { dropped.push_back(drop.name); });
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
    ledger = std::move(opened).value();
  }
  std::uint64_t accept() {
    return ledger->accept({.name = std::to_string(accepted++), .path = "/none"});
  }
  Kept keep(std::uint64_t id) {
    const std::vector<std::byte> file(kPictureBytes, std::byte{1});
    const std::array<std::span<const std::byte>, 1> parts{file};
    return ledger->keep(id, PayloadHead{}, parts);
  }
  // Of the next picture; dropped where there is no room.
  Kept wait_for_a_server() {
    const std::uint64_t id = accept();
    const Kept kept = keep(id);
    if (kept == Kept::kNoRoom) REQUIRE(ledger->dropped(id, kDroppedSpoolFull, "").is_ok());
    return kept;
  }
  void fill() {
    while (ledger->spool_bytes() + 2 * kPictureBytes < kLimitBytes - (64 << 10)) {
      REQUIRE(wait_for_a_server() == Kept::kCopied);
    }
  }
};

void check_oldest_went(const Outage& outage) {
  for (std::size_t i = 0; i < outage.dropped.size(); ++i) {
    CHECK(outage.dropped[i] == std::to_string(i));
  }
}

}  // namespace

TEST_CASE("a full spool with a write budget: few are dropped for one picture, and it is copied") {
  for (const SyncKind sync : {SyncKind::kAlways, SyncKind::kInterval, SyncKind::kNever}) {
    CAPTURE(static_cast<int>(sync));
    Outage outage(sync);
    outage.options.spool.budget = {.bytes = 600'000, .window_ns = 60 * kSecondNs};
    outage.open();
    std::uint64_t rooms_made = 0, by_reference = 0;
    for (int i = 0; i < 600; ++i) {
      const std::size_t dropped_before = outage.dropped.size();
      const std::uint64_t bytes_before = outage.ledger->spool_bytes();
      const Kept kept = outage.wait_for_a_server();
      const std::size_t dropped = outage.dropped.size() - dropped_before;
      by_reference += kept == Kept::kByReference ? 1 : 0;
      CHECK(kept != Kept::kNoRoom);
      // What a segment or two hold, of pictures of which most have no copy.
      CHECK(dropped <= 6 * kOneSegment);
      if (dropped > 0) {
        ++rooms_made;
        CHECK(kept == Kept::kCopied);
        CHECK(outage.ledger->spool_bytes() + kPictureBytes < bytes_before);
      }
      outage.time.pass(kSecondNs / (i % 2 == 0 ? 1 : 2));
      outage.ledger->tick();
    }
    CHECK(by_reference > 100);
    CHECK(rooms_made > 3);
    check_oldest_went(outage);
  }
}

TEST_CASE("over the write budget nothing is dropped for what would not be copied") {
  Outage outage(SyncKind::kNever);
  outage.open();
  outage.fill();
  REQUIRE(outage.ledger->close().is_ok());
  outage.options.spool.budget = {.bytes = 600'000, .window_ns = 3600 * kSecondNs};
  outage.open();  // with a bucket that is full
  for (int i = 0; i < 20; ++i) CHECK(outage.wait_for_a_server() == Kept::kByReference);
  CHECK(outage.dropped.empty());
}

TEST_CASE("pictures that the disk did not take are dropped too: they hold segments as others do") {
  Outage outage(SyncKind::kNever);
  outage.open();
  for (int i = 0; outage.ledger->spool_bytes() + 2 * kPictureBytes < kLimitBytes - (64 << 10);
       ++i) {
    const std::uint64_t id = outage.accept();
    const std::uint64_t full = outage.ledger->spool_bytes() + 4'000;
    outage.folder.set_capacity(i % 2 == 0 ? full : UINT64_MAX);
    REQUIRE(outage.keep(id) == (i % 2 == 0 ? Kept::kByReference : Kept::kCopied));
    outage.folder.set_capacity(UINT64_MAX);
  }
  while (outage.dropped.empty()) REQUIRE(outage.wait_for_a_server() == Kept::kCopied);
  CHECK(outage.dropped.size() <= 2 * kOneSegment + 2);
  check_oldest_went(outage);
}

TEST_CASE("where pictures in work hold each segment, the new one alone is dropped") {
  Outage outage(SyncKind::kNever);
  outage.open();
  std::vector<std::uint64_t> in_work;
  Kept kept = Kept::kCopied;
  while (kept == Kept::kCopied) {
    for (int i = 0; i < 4 && kept == Kept::kCopied; ++i) kept = outage.wait_for_a_server();
    in_work.push_back(outage.accept());
  }
  CHECK(kept == Kept::kNoRoom);
  CHECK(outage.dropped.empty());
  for (const std::uint64_t id : in_work) REQUIRE(outage.ledger->answered(id, "").is_ok());
  CHECK(outage.wait_for_a_server() == Kept::kCopied);
  CHECK(outage.dropped.size() >= 1);
  CHECK(outage.dropped.size() <= kOneSegment);
}

namespace {

// Accepts pictures that wait by their files alone, until that did what `done` looks for.
template <typename Done>
void accept_until(Outage& outage, const Done& done) {
  outage.options.spool.budget = {.bytes = 1, .window_ns = 3600 * kSecondNs};
  outage.open();
  for (int i = 0; i < 20'000 && !done(); ++i) {
    const Kept kept = outage.wait_for_a_server();
    if (!done()) REQUIRE(kept == Kept::kByReference);
  }
  REQUIRE(done());
}

}  // namespace

TEST_CASE("a picture that a full spool cannot even accept is one that it has no room for") {
  Outage outage(SyncKind::kNever);
  outage.options.full = SpoolFull::kDropNewest;
  accept_until(outage, [&] { return outage.ledger->counts().unprotected > 0; });
  CHECK(outage.ledger->spool_bytes() <= kLimitBytes);
  const std::uint64_t id = outage.accept();
  CHECK(outage.keep(id) == Kept::kNoRoom);
  CHECK(outage.dropped.empty());
  outage.ledger->accept_and_drop({.name = "unread", .path = "/none"}, kDroppedQueueFull);
  CHECK(outage.dropped == std::vector<std::string>{"unread"});
}

TEST_CASE("the oldest that wait go for one that is accepted, and not for one that is not taken") {
  Outage outage(SyncKind::kNever);
  accept_until(outage, [&] { return !outage.dropped.empty(); });
  CHECK(outage.ledger->counts().unprotected == 0);
  CHECK(outage.ledger->spool_bytes() <= kLimitBytes - kSegmentBytes / 4);
  check_oldest_went(outage);
  const std::size_t dropped = outage.dropped.size();
  CHECK(dropped < outage.accepted / 4);
  while (outage.ledger->counts().unprotected == 0) {
    outage.ledger->accept_and_drop({.name = "unread", .path = "/none"}, kDroppedQueueFull);
    REQUIRE(outage.dropped.size() < 40'000);
  }
  CHECK(std::count(outage.dropped.begin(), outage.dropped.end(), "unread") + dropped ==
        outage.dropped.size());
}

TEST_CASE("without a spool there is nothing to be full") {
  Outage outage(SyncKind::kNever);
  auto alone = Ledger::open(nullptr, outage.folder, "results", outage.time, outage.options,
                            [](const Dropped&) {});
  REQUIRE(alone.is_ok());
  outage.ledger = std::move(alone).value();
  CHECK(outage.wait_for_a_server() == Kept::kNotSpooled);
}

}  // namespace cleave::test
