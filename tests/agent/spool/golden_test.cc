// SPDX-License-Identifier: Apache-2.0
//
// The spool and the result log of each version, as they lie in tests/golden: they must still be
// read, and what is written today must be the same bytes. When one of these fails, the format has
// changed: see "Rule for change" in agent/spool/spool_format.md.
#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/spool/ledger.h"
#include "schemas/atomic_file.h"
#include "schemas/little_endian.h"
#include "tests/agent/spool/test_time.h"
#include "tests/support/forgetful_folder.h"
#include "tests/support/sample_spool.h"

namespace cleave::test {
namespace {

using namespace agent;

// Tests run in the source tree.
const std::filesystem::path kGolden = "tests/golden/spool_v1";

std::vector<std::byte> golden(const std::string& name) {
  const auto bytes = read_file((kGolden / name).string(), 1u << 20);
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  return *bytes;
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::uint32_t crc_with_salt(std::span<const std::byte> salt, std::span<const std::byte> bytes) {
  const auto add = [](uLong crc, std::span<const std::byte> part) {
    return crc32_z(crc, reinterpret_cast<const Bytef*>(part.data()), part.size());
  };
  return static_cast<std::uint32_t>(add(add(0, salt), bytes));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Walks a segment by the grammar of version 1 as it is written down, without the code that it is
// written for; gives the types of its records in order.
std::vector<int> walk_segment(std::span<const std::byte> bytes) {
  REQUIRE(bytes.size() >= 64);
  CHECK(text_of(bytes.first(4)) == "CLSP");
  CHECK(load_little_endian<std::uint16_t>(bytes, 4) == 1);
  const auto salt = bytes.subspan(16, 8);
  CHECK(load_little_endian<std::uint32_t>(bytes, 60) == crc_with_salt({}, bytes.first(60)));
  std::vector<int> types;
  std::uint64_t sequence = 0;
  for (std::size_t at = 64; at < bytes.size();) {
    REQUIRE(at + 64 <= bytes.size());
    const auto record = bytes.subspan(at);
    REQUIRE(text_of(record.first(4)) == "CLSR");
    const std::size_t body_bytes = load_little_endian<std::uint32_t>(record, 48);
    REQUIRE(64 + body_bytes <= record.size());
    CHECK(load_little_endian<std::uint32_t>(record, 52) ==
          crc_with_salt(salt, record.subspan(64, body_bytes)));
    CHECK(load_little_endian<std::uint32_t>(record, 60) == crc_with_salt(salt, record.first(60)));
    CHECK(load_little_endian<std::uint64_t>(record, 8) > sequence);
    sequence = load_little_endian<std::uint64_t>(record, 8);
    types.push_back(load_little_endian<std::uint16_t>(record, 4));
    at += 64 + (body_bytes + 7) / 8 * 8;
  }
  return types;
}

// The next that waits, which is `name`, as its file or else as an activation, or without a copy.
void check_next(Ledger& ledger, const std::string& name, std::size_t bytes, bool is_activation) {
  CAPTURE(name);
  const PendingPicture* picture = ledger.next();
  REQUIRE(picture != nullptr);
  CHECK(picture->source.name == name);
  CHECK(picture->source.path == "/pictures/" + name);
  CHECK(picture->source.file_bytes == kSampleFileBytes);
  CHECK(picture->source.file_crc == 0x12345678);
  REQUIRE(picture->payload.has_value() == (bytes > 0));
  if (bytes > 0) {
    CHECK(picture->payload->head == (is_activation ? sample_payload_head() : PayloadHead{}));
    const auto payload = ledger.payload(picture->request_id);
    REQUIRE_MESSAGE(payload.is_ok(), payload.status().message());
    CHECK(*payload == sample_payload(bytes, name[0]));
  }
  ledger.pass_over(picture->request_id);
}

}  // namespace

TEST_CASE("a spool and a result log of version 1 are read") {
  ForgetfulFolder folder;
  for (const std::string& name : golden_names()) folder.set_content(name, golden(name));
  TestTime time;
  LedgerOptions options;
  const auto opened =
      Ledger::open(&folder, folder, kSampleResults, time, options, [](const Dropped&) {});
  REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
  Ledger& ledger = **opened;
  CHECK(ledger.spool_findings()->damaged_bytes == 0);
  CHECK(ledger.spool_findings()->strange.empty());
  CHECK_FALSE(ledger.spool_findings()->cut_off);
  CHECK(ledger.counts().already_ended == 0);
  CHECK(ledger.log_findings().damaged_lines == 0);
  CHECK(ledger.log_findings().cut_bytes == 0);
  check_next(ledger, "c.jpg", 40, false);
  check_next(ledger, "d.jpg", 50, true);
  check_next(ledger, "e.jpg", 50, true);
  check_next(ledger, "f.jpg", 0, false);
  CHECK(ledger.next() == nullptr);
  const auto log = inspect_result_log(folder, kSampleResults);
  REQUIRE(log.is_ok());
  CHECK(log->damaged_lines == 0);
}

TEST_CASE("a spool and a result log of version 1 are still written so") {
  ForgetfulFolder folder;
  write_sample_spool(folder);
  const auto names = folder.names();
  REQUIRE(names.is_ok());
  REQUIRE(*names == golden_names());
  for (const std::string& name : *names) {
    CAPTURE(name);
    const bool same = folder.content(name) == golden(name);
    CHECK(same);
  }
}

TEST_CASE("what lies there is what is written down of version 1, and all of it") {
  std::set<int> types;
  for (const std::string& name : golden_names()) {
    if (!name.ends_with(".spool")) continue;
    CAPTURE(name);
    const std::vector<std::byte> bytes = golden(name);
    CHECK(std::stoull(name, nullptr, 16) == load_little_endian<std::uint64_t>(bytes, 8));
    const std::vector<int> found = walk_segment(bytes);
    REQUIRE_FALSE(found.empty());
    CHECK(found[0] == 1);
    types.insert(found.begin(), found.end());
  }
  CHECK(types == std::set<int>{1, 2, 3, 4, 5, 6});
  const std::string log = text_of(golden(kSampleResults));
  CHECK(log.starts_with("{\"request\":\"0000000000000000\",\"state\":\"log\",\"version\":1,"));
  CHECK(std::ranges::count(log, '\n') == 3);
  for (std::size_t at = 0; at < log.size(); at = log.find('\n', at) + 1) {
    const std::string line = log.substr(at, log.find('\n', at) - at);
    CAPTURE(line);
    const std::size_t end = line.rfind(",\"crc32\":\"");
    REQUIRE(end != std::string::npos);
    const std::uint32_t crc = crc_with_salt({}, std::as_bytes(std::span(line)).first(end));
    CHECK(std::stoul(line.substr(end + 10, 8), nullptr, 16) == crc);
    CHECK(line.substr(end + 18) == "\"}");
  }
}

}  // namespace cleave::test
