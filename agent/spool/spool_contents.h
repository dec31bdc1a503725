// SPDX-License-Identifier: Apache-2.0
//
// What a spool's folder holds, read from its segments and changed by nothing here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/spool/folder.h"
#include "agent/spool/spool_clock.h"
#include "agent/spool/spool_format.h"
#include "agent/spool/sync_policy.h"

namespace cleave::agent {

// Of all pictures; a spool that holds more is not opened.
inline constexpr std::size_t kMaxPendingPictures = 100'000;

// Where a payload's bytes are.
struct PayloadPlace {
  PayloadHead head;
  std::uint64_t segment = 0;
  std::uint64_t body_at = 0;  // of the record that has them
  std::uint32_t body_bytes = 0;
  std::uint32_t body_crc = 0;
  std::uint32_t head_bytes = 0;  // of the body; the payload's bytes stand behind them
  [[nodiscard]] std::uint64_t bytes() const { return body_bytes - head_bytes; }
};

// A picture that was accepted and has not ended.
struct PendingPicture {
  std::uint64_t request_id = 0;
  std::uint64_t sequence = 0;     // pictures end in this order when they can
  std::uint64_t accepted_ns = 0;  // by the spool's clock
  AcceptedBody source;            // no name: its acceptance was lost, its payload was not
  std::optional<PayloadPlace> payload;
  std::set<std::uint64_t> segments;    // that have a record of it
  std::set<std::uint64_t> superseded;  // those whose records of it hold no more
};

struct SegmentState {
  std::uint64_t salt = 0;
  std::uint64_t bytes = 0;
  std::size_t pending = 0;           // pictures with a record in it
  std::set<std::uint64_t> releases;  // segments that must be gone before this one is removed
};

// What a reader met besides whole records.
struct SpoolFindings {
  bool cut_off = false;  // the last run did not end in order
  SyncPolicy last_sync;  // of that run
  std::uint64_t records = 0;
  std::uint64_t damaged_bytes = 0;
  std::vector<std::string> strange;  // segments that this version does not read, and why
};

struct SpoolContents {
  std::map<std::uint64_t, PendingPicture> pending;               // by sequence
  std::unordered_map<std::uint64_t, std::uint64_t> sequence_of;  // by request id
  std::map<std::uint64_t, SegmentState> segments;                // by number
  std::vector<std::string> blank;                                // segments without content
  std::map<std::uint64_t, std::uint64_t> replaced_in;  // by request id: the segment that says so
  SpoolFindings findings;
  std::uint64_t next_sequence = 1;
  std::uint64_t next_number = 1;
  std::uint64_t spool_ns = 0;  // of the last record
  TimeReading last_time;       // when that was written
  std::uint64_t spent_bytes = 0;

  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] PendingPicture* find(std::uint64_t request_id);
  // What is in `segment` says all of the picture, durably: others need not be kept for it.
  void supersede_all_but(std::uint64_t segment, PendingPicture& picture);
  // Takes the picture out, noting that `in_segment` releases it.
  void take_out(std::uint64_t request_id, std::uint64_t in_segment);
};

// Errors: kIo; kResourceExhausted (more than kMaxPendingPictures). Damage is no error.
[[nodiscard]] Result<SpoolContents> read_spool(const Folder& folder);

}  // namespace cleave::agent
