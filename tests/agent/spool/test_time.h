// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/spool/spool_clock.h"

namespace cleave::test {

inline constexpr std::uint64_t kSecondNs = 1'000'000'000;

// A machine's clocks, as a test sets them.
class TestTime final : public agent::TimeSource {
 public:
  [[nodiscard]] agent::TimeReading now() override { return reading; }
  void pass(std::uint64_t ns) {
    reading.boot_ns += ns;
    reading.wall_ns += static_cast<std::int64_t>(ns);
  }
  // Off for so long, then started again.
  void restart(std::uint64_t off_ns) {
    reading.wall_ns += static_cast<std::int64_t>(off_ns);
    reading.boot_ns = 5 * kSecondNs;
    reading.boot_id[0] = static_cast<std::byte>(std::to_integer<unsigned>(reading.boot_id[0]) + 1);
  }

  agent::TimeReading reading{
      .wall_ns = 1'790'000'000'000'000'000, .boot_ns = 100 * kSecondNs, .boot_id = {std::byte{1}}};
};

}  // namespace cleave::test
