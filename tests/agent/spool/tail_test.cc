// SPDX-License-Identifier: Apache-2.0
//
// Spool and result log as a power cut may leave them: cut at every byte, spoiled at every byte.
#include <doctest/doctest.h>

#include <array>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/spool/ledger.h"
#include "agent/spool/result_line.h"
#include "tests/agent/spool/test_time.h"
#include "tests/support/forgetful_folder.h"

namespace cleave::test {
namespace {

using namespace agent;

constexpr const char* kResults = "results.jsonl";
constexpr std::size_t kPictures = 3;

std::vector<std::byte> bytes_of(std::size_t picture) {
  return std::vector<std::byte>(40 + picture, static_cast<std::byte>('a' + picture));
}

struct Disk {
  ForgetfulFolder folder;
  TestTime time;
  std::mt19937_64 ids{7};

  std::unique_ptr<Ledger> open() {
    LedgerOptions options;
    options.spool.random = [this] { return ids(); };
    auto ledger = Ledger::open(&folder, folder, kResults, time, options, [](const Dropped&) {});
    REQUIRE_MESSAGE(ledger.is_ok(), ledger.status().message());
    return std::move(ledger).value();
  }
};

std::string spool_name(const ForgetfulFolder& folder) {
  const auto names = folder.names();
  REQUIRE(names.is_ok());
  for (const std::string& name : *names) {
    if (name.ends_with(".spool") && !folder.content(name).empty()) return name;
  }
  FAIL("no segment");
  return "";
}

// Three pictures that wait; gives their ids in order.
std::vector<std::uint64_t> fill(Disk& disk) {
  const auto ledger = disk.open();
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < kPictures; ++i) {
    ids.push_back(ledger->accept({.name = "p" + std::to_string(i), .path = "/none"}));
    const auto payload = bytes_of(i);
    const std::array<std::span<const std::byte>, 1> parts{payload};
    REQUIRE(ledger->keep(ids.back(), PayloadHead{}, parts) == Ledger::Kept::kCopied);
  }
  return ids;  // no close(): the process ends as in a crash
}

}  // namespace

TEST_CASE(
    "a segment cut at any byte has its whole records, and the pictures before stay as they were") {
  Disk disk;
  const std::vector<std::uint64_t> ids = fill(disk);
  const std::string name = spool_name(disk.folder);
  const std::vector<std::byte> whole = disk.folder.content(name);
  std::size_t waiting = 0;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    CAPTURE(length);
    Disk cut;
    cut.folder.set_content(name,
                           {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
    const auto ledger = cut.open();
    CHECK(ledger->waiting() >= waiting);  // a longer file never has fewer
    waiting = ledger->waiting();
    REQUIRE(waiting <= ids.size());
    for (std::size_t i = 0; i < waiting; ++i) {
      const PendingPicture* picture = ledger->next();
      REQUIRE(picture != nullptr);
      CHECK(picture->request_id == ids[i]);
      if (picture->payload) {
        const auto payload = ledger->payload(ids[i]);
        REQUIRE(payload.is_ok());
        CHECK(*payload == bytes_of(i));
      }
      ledger->pass_over(ids[i]);
    }
  }
  CHECK(waiting == ids.size());
}

TEST_CASE("a byte that is wrong costs its record, never another and never a wrong picture") {
  Disk disk;
  const std::vector<std::uint64_t> ids = fill(disk);
  const std::string name = spool_name(disk.folder);
  const std::vector<std::byte> whole = disk.folder.content(name);
  for (std::size_t at = kSegmentHeaderBytes; at < whole.size(); ++at) {
    CAPTURE(at);
    std::vector<std::byte> spoiled = whole;
    spoiled[at] ^= std::byte{0x40};
    Disk other;
    other.folder.set_content(name, spoiled);
    const auto ledger = other.open();
    std::size_t intact = 0;
    while (const PendingPicture* picture = ledger->next()) {
      const std::uint64_t id = picture->request_id;
      std::size_t which = 0;
      while (which < ids.size() && ids[which] != id) ++which;
      REQUIRE(which < ids.size());
      const auto payload = ledger->payload(id);
      if (payload.is_ok()) CHECK(*payload == bytes_of(which));
      intact += payload.is_ok() ? 1 : 0;
      ledger->pass_over(id);
    }
    CHECK(intact + 1 >= ids.size());
  }
}

TEST_CASE("a result log cut at any byte keeps its whole lines, and what they ended stays ended") {
  Disk disk;
  const std::vector<std::uint64_t> ids = fill(disk);
  std::vector<std::byte> log;
  {
    const auto ledger = disk.open();
    for (const std::uint64_t id : ids) REQUIRE(ledger->answered(id, "\"top\":[]").is_ok());
    log = disk.folder.content(kResults);
  }
  const std::string name = spool_name(disk.folder);
  Disk before;
  (void)fill(before);
  const std::vector<std::byte> segment = before.folder.content(spool_name(before.folder));
  std::size_t ended = 0;
  for (std::size_t length = 0; length <= log.size(); ++length) {
    CAPTURE(length);
    Disk cut;
    cut.folder.set_content(spool_name(before.folder), segment);
    cut.folder.set_content(kResults,
                           {log.begin(), log.begin() + static_cast<std::ptrdiff_t>(length)});
    const auto ledger = cut.open();
    REQUIRE(ledger->waiting() <= ids.size());
    CHECK(ids.size() - ledger->waiting() >= ended);
    ended = ids.size() - ledger->waiting();
  }
  CHECK(ended == ids.size());
}

TEST_CASE("a segment under another's name is left alone, and nothing in it believed") {
  Disk disk;
  (void)fill(disk);
  const std::vector<std::byte> segment = disk.folder.content(spool_name(disk.folder));
  Disk other;
  other.folder.set_content("00000000000000ff.spool", segment);
  const auto ledger = other.open();
  CHECK(ledger->waiting() == 0);
  REQUIRE(ledger->spool_findings()->strange.size() == 1);
  CHECK(ledger->spool_findings()->strange[0].find("another name") != std::string::npos);
  CHECK(other.folder.content("00000000000000ff.spool") == segment);
}

TEST_CASE("what a power cut cost is counted: of the spool, of the log's end and of its middle") {
  Disk disk;
  const std::vector<std::uint64_t> ids = fill(disk);
  const std::string name = spool_name(disk.folder);
  const std::vector<std::byte> segment = disk.folder.content(name);
  {
    const auto ledger = disk.open();
    for (const LedgerCounter& counter : kDamageCounters)
      CHECK(ledger->counts().*counter.value == 0);
    for (const std::uint64_t id : ids) REQUIRE(ledger->answered(id, "\"top\":[]").is_ok());
  }
  std::vector<std::byte> log = disk.folder.content(kResults);
  const std::size_t line = result_line(ids[0], "\"state\":\"answered\",\"top\":[]").size();
  REQUIRE(log.size() > kPictures * line);
  constexpr std::size_t kCut = 7;
  log.resize(log.size() - kCut);
  log[log.size() + kCut - 3 * line + 3] ^= std::byte{0x40};  // the first of three
  Disk spoiled;
  spoiled.folder.set_content(kResults, log);
  std::vector<std::byte> shorter = segment;
  shorter.resize(segment.size() - 20);
  spoiled.folder.set_content(name, shorter);
  spoiled.folder.set_content("00000000000000ff.spool", segment);
  const LedgerCounts counts = spoiled.open()->counts();
  CHECK(counts.results_cut_bytes == line - kCut);
  CHECK(counts.results_damaged_lines == 1);
  CHECK(counts.spool_damaged_bytes > 0);
  CHECK(counts.spool_damaged_bytes < segment.size() / 2);
  CHECK(counts.spool_strange_segments == 1);
  CHECK(counts.already_ended == 1);
}

TEST_CASE(
    "a disk that is full keeps what it has, and a picture whose file is there is not forgotten") {
  Disk disk;
  const auto ledger = disk.open();
  const std::uint64_t first = ledger->accept({.name = "first", .path = "/first"});
  const auto payload = bytes_of(0);
  const std::array<std::span<const std::byte>, 1> parts{payload};
  REQUIRE(ledger->keep(first, PayloadHead{}, parts) == Ledger::Kept::kCopied);
  disk.folder.set_capacity(1);
  const std::uint64_t second = ledger->accept({.name = "second", .path = "/second"});
  CHECK(second != 0);
  CHECK_FALSE(ledger->take_trouble().is_ok());
  CHECK(ledger->counts().unprotected == 1);
  CHECK_FALSE(ledger->answered(second, "").is_ok());
  const auto kept = ledger->payload(first);
  REQUIRE(kept.is_ok());
  CHECK(*kept == payload);
}

}  // namespace cleave::test
