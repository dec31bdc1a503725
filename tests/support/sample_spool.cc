// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sample_spool.h"

#include <memory>
#include <span>
#include <stdexcept>

#include "agent/spool/ledger.h"
#include "tests/agent/spool/test_time.h"

namespace cleave::test {
namespace {

using namespace agent;

void demand(bool done) {
  if (!done) throw std::runtime_error("the sample spool is not what it was to be");
}

// A second passes before each step.
class SampleRuns {
 public:
  explicit SampleRuns(ForgetfulFolder& folder) : folder_(folder) {
    options_.spool.random = [this] { return next_random_++; };
  }

  void begin() {
    auto opened =
        Ledger::open(&folder_, folder_, kSampleResults, time_, options_, [](const Dropped&) {});
    demand(opened.is_ok());
    ledger_ = std::move(opened).value();
  }
  void end() {
    demand(ledger_->close().is_ok());
    ledger_.reset();
  }
  void be_killed() {
    ledger_.reset();
    time_.restart(60 * kSecondNs);
  }

  std::uint64_t accept(const std::string& name) {
    time_.pass(kSecondNs);
    return ledger_->accept({.file_bytes = kSampleFileBytes,
                            .file_crc = 0x12345678,
                            .name = name,
                            .path = "/pictures/" + name});
  }
  void keep(std::uint64_t id, const PayloadHead& head, std::span<const std::byte> bytes) {
    time_.pass(kSecondNs);
    const std::array<std::span<const std::byte>, 1> parts{bytes};
    demand(ledger_->keep(id, head, parts) == Ledger::Kept::kCopied);
  }
  void keep_less(std::uint64_t id, const PayloadHead& head, std::span<const std::byte> bytes) {
    time_.pass(kSecondNs);
    const std::array<std::span<const std::byte>, 1> parts{bytes};
    ledger_->keep_less(id, head, parts);
    demand(ledger_->counts().replaced == 1);
  }
  Ledger& ledger() { return *ledger_; }

 private:
  ForgetfulFolder& folder_;
  TestTime time_;
  LedgerOptions options_;
  std::uint64_t next_random_ = 0x1000;
  std::unique_ptr<Ledger> ledger_;
};

}  // namespace

PayloadHead sample_payload_head() {
  return {.form = PayloadHead::Form::kActivation,
          .codec = 6,
          .quality = 2,
          .variant = 1,
          .cut = 7,
          .model = {std::byte{5}, std::byte{6}},
          .wire_id = 0x1122334455667788};
}

std::vector<std::byte> sample_payload(std::size_t bytes, char letter) {
  return std::vector<std::byte>(bytes, static_cast<std::byte>(letter));
}

void write_sample_spool(ForgetfulFolder& folder) {
  SampleRuns runs(folder);
  runs.begin();
  const std::uint64_t answered = runs.accept("a.jpg");
  demand(runs.ledger().answered(answered, "\"image\":\"a.jpg\",\"top\":[]").is_ok());
  const std::uint64_t refused = runs.accept("b.jpg");
  demand(runs.ledger().dropped(refused, kDroppedRefused, "\"image\":\"b.jpg\"").is_ok());
  runs.keep(runs.accept("c.jpg"), PayloadHead{}, sample_payload(40, 'c'));
  runs.end();
  runs.begin();
  runs.keep(runs.accept("d.jpg"), sample_payload_head(), sample_payload(50, 'd'));
  const std::uint64_t replaced = runs.accept("e.jpg");
  runs.keep(replaced, PayloadHead{}, sample_payload(kSampleFileBytes, 'e'));
  runs.keep_less(replaced, sample_payload_head(), sample_payload(50, 'e'));
  runs.be_killed();
  runs.begin();
  (void)runs.accept("f.jpg");
  runs.end();
}

}  // namespace cleave::test
