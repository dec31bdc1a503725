// SPDX-License-Identifier: Apache-2.0
//
// A rate limit in integers: `rate` units a second, `burst` of them at once after a pause. Kept as
// the one moment at which the bucket will be full again, so that nothing has to be filled up by a
// timer.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace cleave::server {

class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Nanoseconds = std::chrono::nanoseconds;

  // The largest rate and burst: what keeps every product within 64 bits.
  static constexpr std::uint64_t kMostUnits = 10'000'000'000;

  // Rate 0: no limit. Both at most kMostUnits.
  TokenBucket(std::uint64_t rate, std::uint64_t burst)
      : rate_(rate), burst_(rate == 0 ? Nanoseconds{0} : cost(std::max<std::uint64_t>(burst, 1))) {}

  // How long until `units` can be taken; 0: now. More units than the burst are given when the
  // bucket is full, and the debt is waited for afterwards.
  [[nodiscard]] Nanoseconds wait_for(std::uint64_t units, Time now) const {
    if (rate_ == 0) return Nanoseconds{0};
    const Nanoseconds missing = std::max(full_at_ - now, Nanoseconds{0});
    return std::max(missing + std::min(cost(units), burst_) - burst_, Nanoseconds{0});
  }

  // REQUIRES: wait_for(units, now) was 0.
  void take(std::uint64_t units, Time now) {
    if (rate_ != 0) full_at_ = std::max(full_at_, now) + cost(units);
  }

  [[nodiscard]] bool full(Time now) const { return full_at_ <= now; }

 private:
  // Of `units`, rounded up; more than kMostUnits count as so many.
  [[nodiscard]] Nanoseconds cost(std::uint64_t units) const {
    units = std::min(units, kMostUnits);
    constexpr std::uint64_t kSecond = 1'000'000'000;
    const std::uint64_t rest = (units % rate_ * kSecond + rate_ - 1) / rate_;
    // Years of debt are as good as for ever, and must not overflow the clock.
    constexpr std::uint64_t kMostSeconds = 1'000'000'000;
    return Nanoseconds(std::min(units / rate_, kMostSeconds) * kSecond + rest);
  }

  std::uint64_t rate_;
  Nanoseconds burst_;
  Time full_at_{};
};

}  // namespace cleave::server
