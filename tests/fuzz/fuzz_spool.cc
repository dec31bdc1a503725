// SPDX-License-Identifier: Apache-2.0
//
// A spool's segment and a result log as a hostile or damaged disk gives them. The first byte says
// how many of the others, in 256ths, are the segment.
#include <algorithm>
#include <memory>

#include "agent/spool/ledger.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/forgetful_folder.h"

namespace {

using namespace cleave;

class StillTime final : public agent::TimeSource {
 public:
  agent::TimeReading now() override {
    return {.wall_ns = 1'790'000'000'000'000'000, .boot_ns = 1'000'000'000, .boot_id = {}};
  }
};

void live_with(test::ForgetfulFolder& folder) {
  StillTime time;
  agent::LedgerOptions options;
  std::uint64_t next = 1;
  options.spool.random = [&next] { return next++; };
  std::size_t dropped = 0;
  auto ledger = agent::Ledger::open(&folder, folder, "results", time, options,
                                    [&dropped](const agent::Dropped&) { ++dropped; });
  if (!ledger.is_ok()) return fuzz::require_clean_error(ledger.status());
  const std::uint64_t waiting = (*ledger)->waiting();
  std::uint64_t ended = 0;
  while (const agent::PendingPicture* picture = (*ledger)->next()) {
    const std::uint64_t id = picture->request_id;
    if (picture->payload) (void)(*ledger)->payload(id);
    fuzz::require((*ledger)->answered(id, "\"top\":[]").is_ok(), "a picture that waits can end");
    fuzz::require(++ended <= waiting, "no picture ends twice");
  }
  fuzz::require(ended + dropped == waiting, "every picture that waits ends");
  fuzz::require((*ledger)->close().is_ok(), "the end of a run is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<std::byte> bytes = fuzz::aligned_copy(data + 1, size - 1);
  const auto split = bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() * data[0] / 255);
  test::ForgetfulFolder folder;
  if (split != bytes.begin()) folder.set_content("0000000000000001.spool", {bytes.begin(), split});
  if (split != bytes.end()) folder.set_content("results", {split, bytes.end()});
  live_with(folder);
  live_with(folder);  // and with what that left
  return 0;
}
