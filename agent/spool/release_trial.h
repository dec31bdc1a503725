// SPDX-License-Identifier: Apache-2.0
//
// What the spool would get rid of if pictures were released: tried on a copy of what it knows of
// its segments, before any picture is dropped to make room.
#pragma once

#include <cstdint>
#include <map>

#include "agent/spool/spool_contents.h"

namespace cleave::agent {

class ReleaseTrial {
 public:
  // As if a new segment had been begun: each of those that are there may go.
  explicit ReleaseTrial(const SpoolContents& contents);

  // REQUIRES: it is pending in `contents`, and was not released here before.
  void release(const PendingPicture& picture);
  // Of the segments that would then be removed. Those that hold a picture that was not released, in
  // whatever form it waits, stay, and so do those that release a picture of one that stays.
  [[nodiscard]] std::uint64_t freed_bytes() const { return freed_bytes_; }

 private:
  void remove_unneeded();

  std::map<std::uint64_t, SegmentState> segments_;  // by number
  std::uint64_t freed_bytes_ = 0;
};

}  // namespace cleave::agent
