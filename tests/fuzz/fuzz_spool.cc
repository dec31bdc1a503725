// SPDX-License-Identifier: Apache-2.0
//
// A spool's segment and a result log as a hostile or damaged disk gives them. The first byte says
// how many of the others, in 255ths, are the segment; where the second is odd, its checksums are
// made right, so that what stands below them is read.
#include <algorithm>
#include <array>
#include <memory>

#include "agent/spool/crc32.h"
#include "agent/spool/ledger.h"
#include "schemas/little_endian.h"
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

void make_checksums_right(std::span<std::byte> segment) {
  if (segment.size() < agent::kSegmentHeaderBytes) return;
  store_little_endian<std::uint64_t>(segment, 8, 1);  // its number, as in its name
  store_little_endian<std::uint32_t>(segment, 60, agent::crc32_of(segment.first(60)));
  const std::uint32_t start = agent::body_crc_start(load_little_endian<std::uint64_t>(segment, 16));
  constexpr std::uint32_t kRecordMagic = 0x52534C43;  // "CLSR"
  for (std::size_t at = 64; at + 64 <= segment.size(); at += agent::kSpoolAlignment) {
    const auto record = segment.subspan(at);
    if (load_little_endian<std::uint32_t>(record, 0) != kRecordMagic) continue;
    const std::uint32_t body_bytes = load_little_endian<std::uint32_t>(record, 48);
    if (body_bytes > record.size() - 64) continue;
    store_little_endian<std::uint32_t>(record, 52,
                                       agent::crc32_of(record.subspan(64, body_bytes), start));
    store_little_endian<std::uint32_t>(record, 60, agent::crc32_of(record.first(60), start));
  }
}

// A picture that waited is tried in vain before it ends.
void offer_activation(agent::Ledger& ledger, std::uint64_t id) {
  constexpr std::array<std::byte, 3> kBytes{};
  const std::array<std::span<const std::byte>, 1> parts{kBytes};
  ledger.keep_less(id, {.form = agent::PayloadHead::Form::kActivation, .cut = 1, .wire_id = id},
                   parts);
  const agent::PendingPicture* picture = ledger.find(id);
  fuzz::require(picture != nullptr, "a picture that waits goes on waiting");
  if (picture->payload && picture->payload->head.wire_id == id) {
    const auto payload = ledger.payload(id);
    fuzz::require(!payload.is_ok() || !payload->empty(), "a payload has bytes");
  }
}

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
    offer_activation(**ledger, id);
    fuzz::require((*ledger)->answered(id, "\"top\":[]").is_ok(), "a picture that waits can end");
    fuzz::require(++ended <= waiting, "no picture ends twice");
  }
  fuzz::require(ended + dropped == waiting, "every picture that waits ends");
  fuzz::require((*ledger)->close().is_ok(), "the end of a run is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::vector<std::byte> bytes = fuzz::aligned_copy(data + 2, size - 2);
  const std::size_t segment_bytes = bytes.size() * data[0] / 255;
  if (data[1] % 2 == 1) make_checksums_right(std::span(bytes).first(segment_bytes));
  const auto split = bytes.begin() + static_cast<std::ptrdiff_t>(segment_bytes);
  test::ForgetfulFolder folder;
  if (split != bytes.begin()) folder.set_content(agent::segment_name(1), {bytes.begin(), split});
  if (split != bytes.end()) folder.set_content("results", {split, bytes.end()});
  live_with(folder);
  live_with(folder);  // and with what that left
  return 0;
}
