// SPDX-License-Identifier: Apache-2.0
//
// An agent that agreed to heartbeats: when it says something for the sake of it, and when a server
// that says nothing back is gone. Counts looks, not time: an agent that was stopped for a while has
// missed none. Pure; the connection does the rest.
//
// It looks twice in each interval of Welcome.heartbeat_ms, so that between two signs of life no
// more than one interval passes.
#pragma once

#include <cstdint>
#include <utility>

#include "schemas/protocol.h"

namespace cleave::agent {

class Heartbeat {
 public:
  enum class Step : std::uint8_t { kWait, kPing, kGone };
  static constexpr std::uint32_t kLooksPerInterval = 2;

  // Bytes of the connection so far: that were sent, that came, and of the sent those that the
  // server's system acknowledged. Each only grows.
  struct Bytes {
    std::uint64_t sent = 0, received = 0, acknowledged = 0;
  };

  // kPing: nothing was sent since the last look, or the first. kGone: nothing came and nothing was
  // acknowledged for kHeartbeatsBeforeGone intervals, though there were Pings.
  [[nodiscard]] Step look(const Bytes& now) {
    const Bytes before = std::exchange(bytes_, now);
    const bool is_there =
        now.received != before.received || now.acknowledged != before.acknowledged;
    silent_looks_ = is_there ? 0 : silent_looks_ + 1;
    if (silent_looks_ > kLooksPerInterval * kHeartbeatsBeforeGone) return Step::kGone;
    return now.sent == before.sent ? Step::kPing : Step::kWait;
  }

 private:
  Bytes bytes_;
  std::uint32_t silent_looks_ = 0;
};

}  // namespace cleave::agent
