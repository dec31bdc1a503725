// SPDX-License-Identifier: Apache-2.0
//
// `--uplink-limit`: when the next bytes may leave, so that the agent's own traffic keeps to a rate.
// Pure arithmetic; the connection does the waiting.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "agent/net.h"

namespace cleave::agent {

class UplinkPacer {
 public:
  // 0: no limit.
  explicit UplinkPacer(std::uint64_t bits_per_second) : bits_per_second_(bits_per_second) {}

  [[nodiscard]] bool limits() const { return bits_per_second_ != 0; }

  // Bytes to hand to the socket at once: about 5 ms of the link, at least one segment.
  [[nodiscard]] std::size_t chunk_bytes() const {
    return static_cast<std::size_t>(
        std::max<std::uint64_t>(kSegmentBytes, bits_per_second_ / 8 / 200));
  }

  // When a link of this rate would have carried `bytes` that are ready at `now`; the caller waits
  // until then before it sends them, so that the last byte is as late as on a real link.
  [[nodiscard]] Clock::time_point carried_at(std::size_t bytes, Clock::time_point now) {
    const auto ns = static_cast<std::int64_t>(static_cast<std::uint64_t>(bytes) * 8'000'000'000U /
                                              bits_per_second_);
    busy_until_ = std::max(busy_until_, now) + std::chrono::nanoseconds(ns);
    return busy_until_;
  }

 private:
  static constexpr std::uint64_t kSegmentBytes = 1460;
  std::uint64_t bits_per_second_;
  Clock::time_point busy_until_{};
};

}  // namespace cleave::agent
