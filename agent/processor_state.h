// SPDX-License-Identifier: Apache-2.0
//
// How fast this device can compute now: cores, clock, temperature, and whether the firmware holds
// it back. Read from /proc and /sys each time; a change is seen at the next reading.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cleave::agent {

enum class ProcessorSource : std::uint8_t {
  kUnknown,
  kGiven,       // by the user
  kAffinity,    // of this process, by the kernel's status file or its scheduler
  kCpufreq,     // /sys/devices/system/cpu/cpu*/cpufreq
  kCpuInfo,     // "cpu MHz" of /proc/cpuinfo: how fast it is now, not how fast it may be
  kPiFirmware,  // the Raspberry Pi's get_throttled
  kPiVoltage,   // hwmon rpi_volt: under-voltage only
};

const char* processor_source_name(ProcessorSource source);

// The clock of the usable core that may run fastest, in kHz; 0 is "not known".
struct ClockState {
  std::uint32_t current_khz = 0;   // at the moment of reading
  std::uint32_t limit_khz = 0;     // scaling_max_freq: the user's, a policy's or a cooling device's
  std::uint32_t lowest_khz = 0;    // scaling_min_freq
  std::uint32_t hardware_khz = 0;  // cpuinfo_max_freq
  std::string governor, driver;
  ProcessorSource source = ProcessorSource::kUnknown;
};

struct ThermalZone {
  std::string type;
  std::int32_t millidegrees = 0;
  std::optional<std::int32_t> passive_millidegrees;  // where the kernel begins to slow down
};

// What a Raspberry Pi's firmware says of power and heat: bits as in its get_throttled.
enum ThrottleBit : std::uint32_t {
  kUnderVoltage = 1U << 0,
  kClockCapped = 1U << 1,
  kThrottled = 1U << 2,
  kSoftTemperatureLimit = 1U << 3,
};
inline constexpr std::uint32_t kThrottleNow = 0xf;
inline constexpr unsigned kThrottleSinceBootShift = 16;  // the same bits, "has happened"

struct ThrottleFlags {
  std::uint32_t bits = 0;
  ProcessorSource source = ProcessorSource::kUnknown;
  [[nodiscard]] std::uint32_t now() const { return bits & kThrottleNow; }
  [[nodiscard]] std::uint32_t since_boot() const {
    return (bits >> kThrottleSinceBootShift) & kThrottleNow;
  }
};

// "under-voltage, throttled" of ThrottleBit; empty for none.
[[nodiscard]] std::string throttle_text(std::uint32_t bits);

struct ProcessorState {
  unsigned online_cores = 0;  // 0: not known
  unsigned usable_cores = 1;  // by this process: its affinity
  ProcessorSource cores_source = ProcessorSource::kUnknown;
  ClockState clock;
  std::vector<ThermalZone> zones;
  std::optional<ThrottleFlags> throttle;  // none: not a Raspberry Pi, or its kernel does not say
};

// `root` is put in front of /proc and /sys, so that tests bring a tree of their own; empty for the
// real one. Some dozens of small files: well under a millisecond each on a device.
[[nodiscard]] ProcessorState detect_processor(const std::string& root = {});

// The clock at which a computation runs now, in kHz; 0: not known, and a time is not scaled by it.
//   given by the user: that;
//   governor "powersave" of a driver that takes it literally: the lowest; "userspace": the current;
//   held back by the firmware (a throttle bit is set now): the current, if that is lower;
//   else the limit.
// Only what cpufreq says or the user gave: "cpu MHz" is a sample, and wanders when idle.
[[nodiscard]] std::uint32_t running_clock_khz(const ProcessorState& state);

// Cores that this process may use, by the scheduler.
[[nodiscard]] unsigned usable_cores();

}  // namespace cleave::agent
