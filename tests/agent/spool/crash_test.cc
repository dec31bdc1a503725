// SPDX-License-Identifier: Apache-2.0
//
// The ledger over a disk that forgets, cut off at random moments, thousands of times: what was
// synced is never lost, nothing is invented, and no picture has two terminal records.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "agent/spool/ledger.h"
#include "agent/spool/result_line.h"
#include "tests/agent/spool/test_time.h"
#include "tests/support/forgetful_folder.h"
#include "tests/support/sanitized.h"

namespace cleave::test {
namespace {

using namespace agent;

constexpr const char* kResults = "results.jsonl";
// Instrumented, a life takes fifteen times as long, and what is looked for there is another thing.
constexpr std::uint64_t kLives = kSanitized ? 500 : 3'000;

// What the test knows of a picture.
struct Known {
  std::vector<std::byte> file;        // empty: not kept
  std::vector<std::byte> activation;  // likewise
  std::uint64_t sequence = 0;         // 0: the spool did not take it
  std::uint64_t accepted_ns = 0;
  bool accepted_for_sure = false;  // its acceptance is durable
  bool copied_for_sure = false;    // and so is one of its copies
  bool ended = false;              // its terminal record was written
  bool ended_for_sure = false;     // and is durable
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed) {
    options_.spool.limit_bytes = 128 << 10;
    options_.spool.sync.kind = static_cast<SyncKind>(random_() % 3);
    options_.spool.sync.interval_ns = kSecondNs;
    options_.spool.random = [this] { return ids_(); };
    options_.full = random_() % 2 == 0 ? SpoolFull::kDropOldest : SpoolFull::kDropNewest;
    if (random_() % 4 == 0) options_.spool.budget = {64 << 10, 3600 * kSecondNs};
  }

  // Gives how many files were replaced by activations.
  std::uint64_t run() {
    for (int life = 0; life < 4; ++life) {
      open();
      const auto steps = random_() % 24;
      for (std::uint64_t step = 0; step < steps; ++step) one_step();
      end();
    }
    open();
    while (const PendingPicture* picture = ledger_->next()) answer(picture->request_id);
    REQUIRE(ledger_->close().is_ok());
    ledger_.reset();
    check_log();
    for (const auto& [id, known] : pictures_) {
      if (known.accepted_for_sure) CHECK_MESSAGE(log_.contains(id), seed_text());
    }
    return replaced_;
  }

 private:
  [[nodiscard]] std::string seed_text() const {
    return std::string("sync ") + to_string(options_.spool.sync);
  }

  void open() {
    auto ledger =
        Ledger::open(&folder_, folder_, kResults, time_, options_, [this](const Dropped& drop) {
          pictures_[drop.request_id].ended = true;
          if (is_always()) pictures_[drop.request_id].ended_for_sure = true;
        });
    REQUIRE_MESSAGE(ledger.is_ok(), ledger.status().message());
    ledger_ = std::move(ledger).value();
    check_log();
    check_pending();
  }

  [[nodiscard]] bool is_always() const { return options_.spool.sync.kind == SyncKind::kAlways; }

  void check_log() {
    log_.clear();
    const std::vector<std::byte> bytes = folder_.content(kResults);
    std::istringstream lines(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    for (std::string line; std::getline(lines, line);) {
      const auto result = read_result_line(line);
      if (!result || result->request_id == 0) continue;
      const std::uint64_t id = result->request_id;
      CHECK_MESSAGE(log_.insert(id).second, "two terminal records");
      REQUIRE_MESSAGE(pictures_.contains(id), "a record of no picture");
      CHECK(pictures_.at(id).ended);
    }
    for (auto& [id, known] : pictures_) {
      if (known.ended_for_sure) CHECK_MESSAGE(log_.contains(id), "a durable record is gone");
      known.ended = log_.contains(id);  // what was written of it may be lost
    }
  }

  void check_pending() {
    std::set<std::uint64_t> pending;
    while (const PendingPicture* picture = ledger_->next()) {
      const std::uint64_t id = picture->request_id;
      pending.insert(id);
      REQUIRE_MESSAGE(pictures_.contains(id), "a picture that nobody accepted");
      CHECK_MESSAGE(!log_.contains(id), "an ended picture would be answered again");
      check_copy(*picture, pictures_.at(id));
      ledger_->pass_over(id);
    }
    ledger_->begin_anew();
    for (const auto& [id, known] : pictures_) {
      if (!known.accepted_for_sure) continue;
      CHECK_MESSAGE((pending.contains(id) || log_.contains(id)),
                    "an accepted picture is gone: ", seed_text());
    }
    in_work_.clear();
  }

  // One of those that were written, whole, under its own name, place and age.
  void check_copy(const PendingPicture& picture, const Known& known) {
    CHECK_MESSAGE((picture.payload || !known.copied_for_sure), "a copy is gone: ", seed_text());
    if (known.accepted_for_sure) {
      CHECK(picture.source.name == "a.jpg");
      CHECK(picture.sequence == known.sequence);
      CHECK(picture.accepted_ns == known.accepted_ns);
    }
    if (!picture.payload) return;
    const auto payload = ledger_->payload(picture.request_id);
    REQUIRE_MESSAGE(payload.is_ok(), payload.status().message());
    const bool is_file = picture.payload->head == PayloadHead{};
    CHECK((is_file || picture.payload->head == activation_head(picture.request_id)));
    CHECK(*payload == (is_file ? known.file : known.activation));
  }

  static PayloadHead activation_head(std::uint64_t id) {
    return {.form = PayloadHead::Form::kActivation,
            .codec = 3,
            .variant = 1,
            .cut = 4,
            .model = {std::byte{9}},
            .wire_id = id ^ 1};
  }

  void accept() {
    const std::uint64_t unprotected = ledger_->counts().unprotected;
    const std::uint64_t id = ledger_->accept({.file_bytes = 10, .name = "a.jpg", .path = "/a.jpg"});
    REQUIRE(!pictures_.contains(id));
    const bool spooled = ledger_->counts().unprotected == unprotected;
    pictures_[id].accepted_for_sure = spooled && is_always();
    in_work_.push_back(id);
    if (!spooled) return;
    unsure_.push_back(id);
    pictures_[id].sequence = ledger_->find(id)->sequence;
    pictures_[id].accepted_ns = ledger_->find(id)->accepted_ns;
  }

  std::vector<std::byte> some_bytes(std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    return bytes;
  }

  void keep(std::uint64_t id) {
    const bool is_file = random_() % 3 != 0;
    const bool is_large = random_() % 3 == 0;
    std::vector<std::byte>& bytes = is_file ? pictures_[id].file : pictures_[id].activation;
    bytes = some_bytes(1 + random_() % 6000 + (is_file && is_large ? 26'000 : 0));
    const std::span<const std::byte> part(bytes);
    const auto kept =
        ledger_->keep(id, is_file ? PayloadHead{} : activation_head(id), std::span(&part, 1));
    pictures_[id].copied_for_sure = kept == Ledger::Kept::kCopied && is_always();
    if (kept == Ledger::Kept::kCopied || kept == Ledger::Kept::kByReference) return;
    pictures_[id].ended = true;
    REQUIRE(ledger_->dropped(id, kDroppedSpoolFull, "").is_ok());
    if (is_always()) pictures_[id].ended_for_sure = true;
  }

  // One that waits was tried in vain, and its head has run.
  void keep_less(std::uint64_t id) {
    const bool had_copy = ledger_->find(id)->payload.has_value();
    const bool had_activation = had_copy && !pictures_[id].activation.empty();
    if (had_activation) return;  // it would be tried as that
    pictures_[id].activation = some_bytes(1 + random_() % 400);
    const std::span<const std::byte> part(pictures_[id].activation);
    const std::uint64_t replaced_before = ledger_->counts().replaced;
    ledger_->keep_less(id, activation_head(id), std::span(&part, 1));
    const PendingPicture& picture = *ledger_->find(id);
    replaced_ += ledger_->counts().replaced - replaced_before;
    if (picture.payload && is_always()) pictures_[id].copied_for_sure = true;
    // Not taken: a later copy of it has other bytes.
    const bool is_there = picture.payload && picture.payload->head != PayloadHead{};
    if (!is_there) pictures_[id].activation.clear();
    ledger_->pass_over(id);
  }

  void answer(std::uint64_t id) {
    pictures_[id].ended = true;
    REQUIRE(ledger_->answered(id, "\"image\":\"a.jpg\"").is_ok());
    if (is_always()) pictures_[id].ended_for_sure = true;
  }

  std::uint64_t take_in_work() {
    const std::size_t at = random_() % in_work_.size();
    const std::uint64_t id = in_work_[at];
    in_work_.erase(in_work_.begin() + static_cast<std::ptrdiff_t>(at));
    return id;
  }

  void one_step() {
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2:
        accept();
        break;
      case 3:
      case 4:
        if (!in_work_.empty()) keep(take_in_work());
        break;
      case 5:
        if (!in_work_.empty()) answer(take_in_work());
        break;
      case 6:
        if (const PendingPicture* picture = ledger_->next()) answer(picture->request_id);
        break;
      case 7:
        time_.pass(random_() % (2 * kSecondNs));
        ledger_->tick();
        break;
      case 8:
      case 9:
        if (const PendingPicture* picture = ledger_->next()) keep_less(picture->request_id);
        break;
    }
    // Under interval everything is durable whenever nothing waits for a sync.
    if (options_.spool.sync.kind == SyncKind::kInterval && ledger_->sync_due_ns() == UINT64_MAX) {
      everything_is_durable();
    }
  }

  void everything_is_durable() {
    for (const std::uint64_t id : unsure_) pictures_[id].accepted_for_sure = true;
    unsure_.clear();
    for (auto& [id, known] : pictures_) known.ended_for_sure = known.ended;
  }

  void end() {
    switch (random_() % 4) {
      case 0:
        REQUIRE(ledger_->close().is_ok());
        if (options_.spool.sync.kind != SyncKind::kNever) everything_is_durable();
        ledger_.reset();
        break;
      case 1:  // killed: what was written is there
        ledger_.reset();
        everything_is_durable_until_power_is_lost();
        break;
      default:
        ledger_.reset();
        folder_.lose_power(random_());
        time_.restart(random_() % (3600 * kSecondNs));
        break;
    }
    unsure_.clear();
  }

  // The checks of the next start hold all of it; later ones only what was durable.
  void everything_is_durable_until_power_is_lost() {
    const auto before = pictures_;
    everything_is_durable();
    open();
    ledger_.reset();
    for (const auto& [id, known] : before) {
      pictures_[id].accepted_for_sure = known.accepted_for_sure;
      pictures_[id].ended_for_sure = known.ended_for_sure;
    }
  }

  std::mt19937_64 random_;
  std::mt19937_64 ids_{random_()};
  LedgerOptions options_;
  TestTime time_;
  ForgetfulFolder folder_;
  std::unique_ptr<Ledger> ledger_;
  std::map<std::uint64_t, Known> pictures_;
  std::vector<std::uint64_t> in_work_;
  std::vector<std::uint64_t> unsure_;  // accepted, and nobody says yet that it is durable
  std::set<std::uint64_t> log_;
  std::uint64_t replaced_ = 0;
};

}  // namespace

TEST_CASE("whatever a loss of power leaves: nothing synced is lost, invented or ended twice") {
  std::uint64_t replaced = 0;
  for (std::uint64_t seed = 1; seed <= kLives; ++seed) {
    CAPTURE(seed);
    replaced += Life(seed).run();
  }
  CHECK(replaced > kLives / 10);
}

}  // namespace cleave::test
