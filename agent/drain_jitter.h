// SPDX-License-Identifier: Apache-2.0
//
// How long a run waits before it offers a server what waits in the spool. Devices that lost one
// server together, or their power, or that one timer starts, must not come back to it in one moment
// with all that they kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace cleave::agent {

class DrainJitter {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration kLongest{1000};

  // The same waits for the same `seed`. REQUIRES: longest >= 0.
  explicit DrainJitter(std::uint64_t seed, Duration longest = kLongest)
      : random_(seed), wait_ms_(0, longest.count()) {}

  // The next wait: uniform in [0, longest].
  [[nodiscard]] Duration next() { return Duration(wait_ms_(random_)); }

 private:
  std::mt19937_64 random_;
  std::uniform_int_distribution<Duration::rep> wait_ms_;
};

}  // namespace cleave::agent
