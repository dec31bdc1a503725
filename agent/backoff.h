// SPDX-License-Identifier: Apache-2.0
//
// When to try a server again: exponential with full jitter, so that many agents that lost one
// server at the same moment do not come back at the same moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace cleave::agent {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  Backoff(Duration first, Duration longest, std::uint64_t seed)
      : first_(first), longest_(longest), random_(seed) {}

  // The pause after one more failure: uniform in [d/2, d], d = first * 2^failures, at most longest.
  Duration next() {
    const Duration full =
        std::min(longest_, first_ * (std::int64_t{1} << std::min(failures_, 20U)));
    ++failures_;
    return jittered(full);
  }
  // The pause after a failure that trying soon does not mend.
  Duration longest() { return jittered(longest_); }
  void succeeded() { failures_ = 0; }

 private:
  Duration jittered(Duration full) {
    std::uniform_int_distribution<std::int64_t> jitter(full.count() / 2, full.count());
    return Duration(jitter(random_));
  }

  Duration first_;
  Duration longest_;
  unsigned failures_ = 0;
  std::mt19937_64 random_;
};

}  // namespace cleave::agent
