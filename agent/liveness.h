// SPDX-License-Identifier: Apache-2.0
//
// Whether the peer is still there while something is expected of it: when to ask, and when it is
// taken for gone. Pure arithmetic on the times that it is given; the connection does the rest.
//
// What counts as progress is bytes that came, and bytes of ours that the peer's system
// acknowledged: on a slow link a Ping stands behind everything that was sent before it, and as long
// as that goes on, nobody is gone. What is acknowledged behind the Ping says nothing of the peer
// itself: one whose system takes everything and that never answers is gone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "agent/net.h"

namespace cleave::agent {

class Liveness {
 public:
  enum class Step : std::uint8_t { kWait, kPing, kGone };

  // A Ping after so long without progress; gone when so much more passes without any.
  Liveness(Clock::duration ping_after, Clock::duration gone_after)
      : ping_after_(ping_after), gone_after_(gone_after) {}

  // From now on something is expected; the counters stand so.
  void begin(Clock::time_point now, std::uint64_t received, std::uint64_t acknowledged) {
    received_ = received;
    acknowledged_ = acknowledged;
    progress_ = now;
    asked_ = false;
  }

  // The counters as they are now; they only grow.
  void observe(Clock::time_point now, std::uint64_t received, std::uint64_t acknowledged) {
    if (received != received_) asked_ = false;
    const bool is_ahead = !asked_ || acknowledged_ < asked_up_to_;
    if (received != received_ || (is_ahead && acknowledged != acknowledged_)) progress_ = now;
    received_ = received;
    acknowledged_ = acknowledged;
  }

  // The system has taken a Ping, the last of `sent` bytes. Another one while nothing came gives the
  // peer no more time.
  void pinged(Clock::time_point now, std::uint64_t sent) {
    if (asked_) return;
    asked_ = true;
    asked_up_to_ = sent;
    progress_ = std::max(progress_, now);
  }

  [[nodiscard]] Step step(Clock::time_point now) const {
    const Clock::duration silent = now - progress_;
    if (asked_) return silent >= gone_after_ ? Step::kGone : Step::kWait;
    return silent >= ping_after_ ? Step::kPing : Step::kWait;
  }

  // How often to observe, so that what is seen is not much older than that.
  [[nodiscard]] Clock::duration period() const {
    return std::max<Clock::duration>(std::min(ping_after_, gone_after_) / 4,
                                     std::chrono::milliseconds(1));
  }

 private:
  Clock::duration ping_after_;
  Clock::duration gone_after_;
  std::uint64_t received_ = 0;
  std::uint64_t acknowledged_ = 0;
  Clock::time_point progress_{};
  bool asked_ = false;  // and nothing came since
  std::uint64_t asked_up_to_ = 0;
};

}  // namespace cleave::agent
