// SPDX-License-Identifier: Apache-2.0
//
// Pictures that wait as what their head computed: which heads are read, when an activation takes
// the place of a file, and that a power cut in the middle leaves one of the two.
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

constexpr std::size_t kFileBytes = 60'000;
constexpr std::size_t kActivationBytes = 50;

std::vector<std::byte> bytes_of(std::size_t count, char value) {
  return std::vector<std::byte>(count, static_cast<std::byte>(value));
}

PayloadHead some_head() {
  return {.form = PayloadHead::Form::kActivation,
          .codec = 6,
          .quality = 2,
          .variant = 1,
          .cut = 7,
          .model = {std::byte{5}},
          .wire_id = 0x1122334455667788};
}

struct Disk {
  ForgetfulFolder folder;
  TestTime time;
  std::mt19937_64 ids{7};
  LedgerOptions options;

  std::unique_ptr<Ledger> open() {
    options.spool.random = [this] { return ids(); };
    auto ledger = Ledger::open(&folder, folder, "results", time, options, [](const Dropped&) {});
    REQUIRE_MESSAGE(ledger.is_ok(), ledger.status().message());
    return std::move(ledger).value();
  }
  [[nodiscard]] std::vector<std::string> segments() const {
    std::vector<std::string> found;
    const auto names = folder.names();
    REQUIRE(names.is_ok());
    for (const std::string& name : *names) {
      if (name.ends_with(".spool")) found.push_back(name);
    }
    return found;
  }
};

// A picture that waits as its file.
std::uint64_t add_waiting(Ledger& ledger, const std::string& name, std::size_t bytes) {
  const std::uint64_t id = ledger.accept({.name = name, .path = "/none"});
  const auto file = bytes_of(bytes, name[0]);
  const std::array<std::span<const std::byte>, 1> parts{file};
  REQUIRE(ledger.keep(id, PayloadHead{}, parts) == Ledger::Kept::kCopied);
  return id;
}

void keep_less(Ledger& ledger, std::uint64_t id, std::size_t bytes = kActivationBytes) {
  const auto activation = bytes_of(bytes, 'x');
  const std::array<std::span<const std::byte>, 1> parts{activation};
  ledger.keep_less(id, some_head(), parts);
}

bool waits_as_activation(Ledger& ledger, std::uint64_t id) {
  const PendingPicture* picture = ledger.find(id);
  REQUIRE(picture != nullptr);
  REQUIRE(picture->payload.has_value());
  const auto payload = ledger.payload(id);
  REQUIRE_MESSAGE(payload.is_ok(), payload.status().message());
  if (picture->payload->head == PayloadHead{}) {
    CHECK(*payload == bytes_of(kFileBytes, picture->source.name[0]));
    return false;
  }
  CHECK(picture->payload->head == some_head());
  CHECK(*payload == bytes_of(kActivationBytes, 'x'));
  return true;
}

// Two pictures, the first of which was given its activation; with the segment that says so.
struct Replaced {
  Disk disk;
  std::uint64_t first = 0, second = 0;
  std::vector<std::byte> old_segment, new_segment;

  Replaced() {
    const auto ledger = disk.open();
    first = add_waiting(*ledger, "a.jpg", kFileBytes);
    second = add_waiting(*ledger, "b.jpg", kFileBytes);
    keep_less(*ledger, first);
    REQUIRE(waits_as_activation(*ledger, first));
    const auto names = disk.segments();
    REQUIRE(names.size() == 2);
    old_segment = disk.folder.content(names[0]);
    new_segment = disk.folder.content(names[1]);
  }

  // What a run finds where the new segment is `bytes`: both wait in their order, as one or the
  // other. Gives whether the first waits as its activation.
  [[nodiscard]] bool check_with(const std::vector<std::byte>& bytes) const {
    Disk cut;
    const auto names = disk.segments();
    cut.folder.set_content(names[0], old_segment);
    cut.folder.set_content(names[1], bytes);
    const auto ledger = cut.open();
    REQUIRE(ledger->waiting() == 2);
    REQUIRE(ledger->next()->request_id == first);
    CHECK(ledger->next()->source.name == "a.jpg");
    ledger->pass_over(first);
    REQUIRE(ledger->next()->request_id == second);
    CHECK_FALSE(waits_as_activation(*ledger, second));
    return waits_as_activation(*ledger, first);
  }
};

}  // namespace

TEST_CASE("the head of a payload is read as it was written, and no other") {
  const PayloadHead head = some_head();
  std::vector<std::byte> bytes = write_payload_head(head);
  REQUIRE(bytes.size() == kActivationHeadBytes);
  const auto read = read_payload_head(bytes, bytes.size() + 1);
  REQUIRE(read.is_ok());
  CHECK(*read == head);
  CHECK_FALSE(read_payload_head(bytes, bytes.size()).is_ok());  // of nothing
  CHECK_FALSE(read_payload_head(std::span(bytes).first(kFileHeadBytes), 1000).is_ok());
  struct Spoiled {
    std::size_t at;
    int value;
  };
  for (const Spoiled& spoiled : std::vector<Spoiled>{
           {0, 0}, {0, 2}, {1, 1}, {1, 2}, {1, 3}, {1, 7}, {3, 1}, {8, 0}, {12, 1}}) {
    CAPTURE(spoiled.at);
    CAPTURE(spoiled.value);
    std::vector<std::byte> other = bytes;
    other[spoiled.at] = static_cast<std::byte>(spoiled.value);
    CHECK_FALSE(read_payload_head(other, 1000).is_ok());
  }
}

TEST_CASE("a replacement is read as it was written, also without a name, and no other") {
  for (const std::string& name : {std::string("a.jpg"), std::string()}) {
    ReplacedBody body{.sequence = 3, .accepted_ns = 77, .source = {}, .head = some_head()};
    if (!name.empty()) body.source = {.results_bytes = 9, .name = name, .path = "/a.jpg"};
    const std::vector<std::byte> bytes = write_replaced(body);
    const auto read = read_replaced(bytes, bytes.size() + 1);
    REQUIRE(read.is_ok());
    CHECK(read->head_bytes == bytes.size());
    CHECK(read->body.sequence == 3);
    CHECK(read->body.accepted_ns == 77);
    CHECK(read->body.source.name == name);
    CHECK(read->body.source.results_bytes == (name.empty() ? 0 : 9));
    CHECK(read->body.head == some_head());
    CHECK_FALSE(read_replaced(bytes, bytes.size()).is_ok());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      CHECK_FALSE(read_replaced(std::span(bytes).first(length), length).is_ok());
    }
    std::vector<std::byte> huge = bytes;
    huge[19] = std::byte{0xff};
    CHECK_FALSE(read_replaced(huge, huge.size() + 1).is_ok());
  }
}

TEST_CASE("an activation takes the place of a file when that pays, and frees its bytes") {
  Disk disk;
  auto ledger = disk.open();
  const std::uint64_t id = add_waiting(*ledger, "a.jpg", kFileBytes);
  const std::uint64_t accepted_ns = ledger->find(id)->accepted_ns;
  disk.time.pass(50 * kSecondNs);
  keep_less(*ledger, id);
  CHECK(waits_as_activation(*ledger, id));
  CHECK(ledger->counts().replaced == 1);
  CHECK(ledger->waiting() == 1);
  CHECK(ledger->waiting_activations() == 1);
  CHECK(disk.segments().size() == 1);
  CHECK(ledger->spool_bytes() < 1000);
  ledger.reset();
  // The next run knows it by name and age, and ends it once.
  ledger = disk.open();
  REQUIRE(ledger->next() != nullptr);
  CHECK(ledger->next()->source.name == "a.jpg");
  CHECK(ledger->next()->accepted_ns == accepted_ns);
  CHECK(waits_as_activation(*ledger, id));
  REQUIRE(ledger->answered(id, "").is_ok());
  ledger.reset();
  CHECK(disk.open()->waiting() == 0);
}

TEST_CASE("a file stays where an activation would not pay or might be lost") {
  Disk disk;
  std::size_t bytes = kActivationBytes;
  SUBCASE("it frees less than twice what it costs") { bytes = kFileBytes / 2 - 4096; }
  SUBCASE("the write budget has no room for twice as much") {
    disk.options.spool.budget = {.bytes = 85'000, .window_ns = 3600 * kSecondNs};
  }
  SUBCASE("nothing says when writes are durable") {
    disk.options.spool.sync.kind = SyncKind::kNever;
  }
  const auto ledger = disk.open();
  const std::uint64_t id = add_waiting(*ledger, "a.jpg", kFileBytes);
  keep_less(*ledger, id, bytes);
  CHECK_FALSE(waits_as_activation(*ledger, id));
  CHECK(ledger->counts().replaced == 0);
}

TEST_CASE("a picture that waited as its own file alone is copied once there is room for it") {
  Disk disk;
  disk.options.spool.budget = {.bytes = 30'000, .window_ns = 3600 * kSecondNs};
  const auto ledger = disk.open();
  const std::uint64_t id = ledger->accept({.name = "a.jpg", .path = "/none"});
  const auto file = bytes_of(kFileBytes, 'a');
  const std::array<std::span<const std::byte>, 1> parts{file};
  REQUIRE(ledger->keep(id, PayloadHead{}, parts) == Ledger::Kept::kByReference);
  REQUIRE_FALSE(ledger->find(id)->payload.has_value());
  keep_less(*ledger, id);
  CHECK(waits_as_activation(*ledger, id));
  CHECK(ledger->counts().copied_activations == 1);
  CHECK(ledger->counts().replaced == 0);
}

TEST_CASE("a replacement that is cut or spoiled at any byte leaves the file") {
  const Replaced replaced;
  bool has_activation = false;
  for (std::size_t length = 0; length <= replaced.new_segment.size(); ++length) {
    CAPTURE(length);
    const auto end = replaced.new_segment.begin() + static_cast<std::ptrdiff_t>(length);
    const bool now = replaced.check_with({replaced.new_segment.begin(), end});
    CHECK((now || !has_activation));
    has_activation = now;
  }
  CHECK(has_activation);
  for (std::size_t at = kSegmentHeaderBytes; at < replaced.new_segment.size(); ++at) {
    CAPTURE(at);
    std::vector<std::byte> spoiled = replaced.new_segment;
    spoiled[at] ^= std::byte{0x40};
    (void)replaced.check_with(spoiled);
  }
}

TEST_CASE("a picture keeps its place where a copy that was replaced outlives its acceptance") {
  Disk disk;
  disk.options.spool.limit_bytes = 1 << 20;  // segments of 128 KiB
  auto ledger = disk.open();
  const std::uint64_t first = ledger->accept({.name = "a.jpg", .path = "/none"});
  std::vector<std::uint64_t> others;
  for (int i = 0; i < 3; ++i) others.push_back(add_waiting(*ledger, "b.jpg", kFileBytes));
  const auto file = bytes_of(kFileBytes, 'a');
  const std::array<std::span<const std::byte>, 1> parts{file};
  REQUIRE(ledger->keep(first, PayloadHead{}, parts) == Ledger::Kept::kCopied);
  const std::uint64_t last = add_waiting(*ledger, "c.jpg", kFileBytes);
  const std::string oldest = disk.segments().front();
  for (const std::uint64_t other : others) REQUIRE(ledger->answered(other, "").is_ok());
  keep_less(*ledger, first);
  REQUIRE(waits_as_activation(*ledger, first));
  REQUIRE(disk.segments().front() != oldest);
  REQUIRE(disk.segments().size() >= 2);
  ledger.reset();
  ledger = disk.open();
  REQUIRE(ledger->next()->request_id == first);
  CHECK(ledger->next()->source.name == "a.jpg");
  CHECK(waits_as_activation(*ledger, first));
  ledger->pass_over(first);
  CHECK(ledger->next()->request_id == last);
}

TEST_CASE("a disk that does not sync keeps the file, and the next run takes what is there") {
  Disk disk;
  auto ledger = disk.open();
  const std::uint64_t id = add_waiting(*ledger, "a.jpg", kFileBytes);
  disk.folder.fail_syncs(1);
  keep_less(*ledger, id);
  CHECK_FALSE(ledger->take_trouble().is_ok());
  CHECK_FALSE(waits_as_activation(*ledger, id));
  CHECK(ledger->counts().replaced == 0);
  ledger.reset();
  disk.folder.lose_power(3);
  ledger = disk.open();
  REQUIRE(ledger->waiting() == 1);
  (void)waits_as_activation(*ledger, id);
  CHECK(ledger->next()->source.name == "a.jpg");
}

TEST_CASE("a run that was killed before its replacement was durable cannot lose the picture") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Disk disk;
    auto ledger = disk.open();
    const std::uint64_t id = add_waiting(*ledger, "a.jpg", kFileBytes);
    disk.folder.fail_syncs(1 + seed % 2);  // its own, or also that of the next run
    keep_less(*ledger, id);
    ledger.reset();
    // The next run reads it from the cache of the system, works, and then the power goes.
    ledger = disk.open();
    const std::uint64_t other = add_waiting(*ledger, "b.jpg", kFileBytes);
    ledger.reset();
    disk.folder.lose_power(seed);
    ledger = disk.open();
    REQUIRE(ledger->waiting() == 2);
    (void)waits_as_activation(*ledger, id);
    (void)waits_as_activation(*ledger, other);
  }
}

}  // namespace cleave::test
