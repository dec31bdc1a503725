// SPDX-License-Identifier: Apache-2.0
//
// The spool's own clock, which goes on over restarts and does not jump with the wall clock:
// spool_format.md, "The spool's clock".
#pragma once

#include <cstdint>

#include "agent/spool/spool_format.h"

namespace cleave::agent {

struct TimeReading {
  std::int64_t wall_ns = 0;   // since 1970; may be set to anything at any time
  std::uint64_t boot_ns = 0;  // since boot, suspension included
  BootId boot_id{};           // another after each boot
};

class TimeSource {
 public:
  virtual ~TimeSource() = default;
  [[nodiscard]] virtual TimeReading now() = 0;
};

// CLOCK_REALTIME, CLOCK_BOOTTIME and the kernel's boot_id. CLEAVE_WALL_CLOCK_OFFSET_S in the
// environment, a whole number of seconds, is added to the wall clock: for tests of a clock that is
// wrong. It lives as long as the process.
[[nodiscard]] TimeSource& system_time();

// What passed between two readings, by whatever of them can be trusted.
[[nodiscard]] std::uint64_t elapsed_ns(const TimeReading& before, const TimeReading& now);

class SpoolClock {
 public:
  // The clock shows `spool_ns` when `at` is read.
  SpoolClock(TimeSource& source, std::uint64_t spool_ns, const TimeReading& at)
      : source_(&source), base_ns_(spool_ns), base_(at) {}

  struct Reading {
    std::uint64_t spool_ns = 0;
    std::int64_t wall_ns = 0;
  };
  [[nodiscard]] std::uint64_t start_ns() const { return base_ns_; }
  [[nodiscard]] Reading now() const {
    const TimeReading reading = source_->now();
    const std::uint64_t passed =
        reading.boot_ns > base_.boot_ns ? reading.boot_ns - base_.boot_ns : 0;
    return {base_ns_ + passed, reading.wall_ns};
  }

 private:
  TimeSource* source_;
  std::uint64_t base_ns_;
  TimeReading base_;
};

}  // namespace cleave::agent
