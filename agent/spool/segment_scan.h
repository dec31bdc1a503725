// SPDX-License-Identifier: Apache-2.0
//
// Every whole record of a segment, in order, whatever the rest of it is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "agent/spool/folder.h"
#include "agent/spool/spool_format.h"

namespace cleave::agent {

struct ScannedRecord {
  SpoolRecordHeader header;
  std::uint64_t body_at = 0;  // offset in the segment
  // The whole body, or where it ends in a payload, as much as its head may take; only while the
  // visitor runs.
  std::span<const std::byte> body;
};

struct SegmentScan {
  SegmentHeader header;
  std::uint64_t records = 0;
  std::uint64_t damaged_bytes = 0;  // in no record
};

// Calls `visit` for each record with right CRCs and a body that reads. Takes 80 KiB of memory at
// most, and time in proportion to the file. Errors: kCorrupt, kUnsupported (no segment of this
// version: see read_segment_header()), kIo.
[[nodiscard]] Result<SegmentScan> scan_segment(
    const AppendFile& file, const std::function<void(const ScannedRecord&)>& visit);

}  // namespace cleave::agent
