// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/release_trial.h"

#include <algorithm>
#include <iterator>

namespace cleave::agent {

ReleaseTrial::ReleaseTrial(const SpoolContents& contents) : segments_(contents.segments) {
  remove_unneeded();
}

void ReleaseTrial::release(const PendingPicture& picture) {
  bool emptied = false;
  for (const std::uint64_t number : picture.segments) {
    emptied |= --segments_.at(number).pending == 0;
  }
  if (emptied) remove_unneeded();
}

// As Spool::remove_unneeded() does.
void ReleaseTrial::remove_unneeded() {
  for (bool removed = true; removed;) {
    removed = false;
    for (auto at = segments_.begin(); at != segments_.end();) {
      const SegmentState& segment = at->second;
      const bool needed =
          segment.pending > 0 || std::ranges::any_of(segment.releases, [&](std::uint64_t other) {
            return segments_.contains(other);
          });
      if (!needed) {
        freed_bytes_ += segment.bytes;
        removed = true;
      }
      at = needed ? std::next(at) : segments_.erase(at);
    }
  }
}

}  // namespace cleave::agent
