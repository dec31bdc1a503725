// SPDX-License-Identifier: Apache-2.0
#include "agent/processor_state.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "agent/system_files.h"

namespace cleave::agent {
namespace {

constexpr unsigned kMaxTripPoints = 32;

// kHz of a cpufreq file; what no clock can be counts as not said.
std::uint32_t read_khz(const std::string& path) {
  const std::uint64_t khz = read_number(path).value_or(0);
  return khz <= UINT32_MAX ? static_cast<std::uint32_t>(khz) : 0;
}

ClockState read_cpufreq(const std::string& folder) {
  ClockState clock;
  // What the hardware says, where this user may read it; else what was last asked of it.
  clock.current_khz = read_khz(folder + "/cpuinfo_cur_freq");
  if (clock.current_khz == 0) clock.current_khz = read_khz(folder + "/scaling_cur_freq");
  clock.limit_khz = read_khz(folder + "/scaling_max_freq");
  clock.lowest_khz = read_khz(folder + "/scaling_min_freq");
  clock.hardware_khz = read_khz(folder + "/cpuinfo_max_freq");
  if (clock.limit_khz == 0) clock.limit_khz = clock.hardware_khz;
  clock.governor = read_word(folder + "/scaling_governor");
  clock.driver = read_word(folder + "/scaling_driver");
  if (clock.limit_khz != 0) clock.source = ProcessorSource::kCpufreq;
  return clock;
}

// "cpu MHz : 2299.998", where there is no cpufreq: a virtual machine.
ClockState read_cpuinfo(const std::string& root) {
  ClockState clock;
  const std::string rest = read_line(root + "/proc/cpuinfo", "cpu MHz");
  const std::size_t colon = rest.find(':');
  if (colon == std::string::npos) return clock;
  const double mhz = std::strtod(rest.c_str() + colon + 1, nullptr);
  if (!(mhz >= 1 && mhz < 1e6)) return clock;
  clock.current_khz = static_cast<std::uint32_t>(std::lround(mhz * 1000));
  clock.source = ProcessorSource::kCpuInfo;
  return clock;
}

ClockState detect_clock(const std::string& root, const std::vector<unsigned>& cores) {
  ClockState fastest;
  for (const unsigned core : cores) {
    ClockState clock =
        read_cpufreq(root + "/sys/devices/system/cpu/cpu" + std::to_string(core) + "/cpufreq");
    if (clock.limit_khz > fastest.limit_khz) fastest = std::move(clock);
  }
  return fastest.limit_khz != 0 ? fastest : read_cpuinfo(root);
}

ThermalZone read_zone(const std::string& folder, std::int64_t millidegrees) {
  ThermalZone zone{.type = read_word(folder + "/type"),
                   .millidegrees = static_cast<std::int32_t>(millidegrees),
                   .passive_millidegrees = std::nullopt};
  for (unsigned i = 0; i < kMaxTripPoints; ++i) {
    const std::string trip = folder + "/trip_point_" + std::to_string(i);
    const std::string type = read_word(trip + "_type");
    if (type.empty()) break;
    const auto temperature = read_signed(trip + "_temp");
    if (type != "passive" || !temperature || std::abs(*temperature) > 1'000'000) continue;
    const auto point = static_cast<std::int32_t>(*temperature);
    zone.passive_millidegrees = std::min(zone.passive_millidegrees.value_or(point), point);
  }
  return zone;
}

std::vector<ThermalZone> detect_zones(const std::string& root) {
  std::vector<ThermalZone> zones;
  for (const auto& folder : entries_of(root + "/sys/class/thermal", "thermal_zone")) {
    const auto millidegrees = read_signed(folder.string() + "/temp");
    // A sensor that is off reads as an error, or as a temperature that is none.
    if (!millidegrees || *millidegrees < -100'000 || *millidegrees > 250'000) continue;
    zones.push_back(read_zone(folder.string(), *millidegrees));
  }
  return zones;
}

// The firmware's device has the name of the bus above it: soc/soc:firmware on a Pi 3 or 4.
std::optional<std::uint64_t> read_pi_firmware(const std::string& root) {
  for (const auto& bus : entries_of(root + "/sys/devices/platform", "soc")) {
    if (const auto bits = read_hex(bus.string() + "/get_throttled")) return bits;
    for (const auto& device : entries_of(bus.string(), "soc")) {
      if (!device.string().ends_with(":firmware")) continue;
      if (const auto bits = read_hex(device.string() + "/get_throttled")) return bits;
    }
  }
  return std::nullopt;
}

std::optional<ThrottleFlags> detect_throttle(const std::string& root) {
  if (const auto bits = read_pi_firmware(root)) {
    return ThrottleFlags{static_cast<std::uint32_t>(*bits), ProcessorSource::kPiFirmware};
  }
  // Kernels without that file tell of under-voltage, as an alarm of the last seconds.
  for (const auto& sensor : entries_of(root + "/sys/class/hwmon", "hwmon")) {
    if (read_word(sensor.string() + "/name") != "rpi_volt") continue;
    const auto alarm = read_number(sensor.string() + "/in0_lcrit_alarm");
    if (!alarm) continue;
    return ThrottleFlags{*alarm != 0 ? kUnderVoltage : 0U, ProcessorSource::kPiVoltage};
  }
  return std::nullopt;
}

std::vector<unsigned> scheduler_cores() {
  std::vector<unsigned> cores;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cores.push_back(cpu);
  }
  return cores;
}

// These drivers choose the clock by load under a governor of that name.
bool is_literal_powersave(const ClockState& clock) {
  return clock.governor == "powersave" && clock.driver != "intel_pstate" &&
         clock.driver != "amd-pstate-epp";
}

}  // namespace

const char* processor_source_name(ProcessorSource source) {
  switch (source) {
    case ProcessorSource::kUnknown:
      return "not known";
    case ProcessorSource::kGiven:
      return "given";
    case ProcessorSource::kAffinity:
      return "affinity";
    case ProcessorSource::kCpufreq:
      return "cpufreq";
    case ProcessorSource::kCpuInfo:
      return "/proc/cpuinfo";
    case ProcessorSource::kPiFirmware:
      return "Raspberry Pi firmware";
    case ProcessorSource::kPiVoltage:
      return "rpi_volt";
  }
  return "?";
}

std::string throttle_text(std::uint32_t bits) {
  static constexpr std::pair<ThrottleBit, const char*> kNames[] = {
      {kUnderVoltage, "under-voltage"},
      {kClockCapped, "clock capped"},
      {kThrottled, "throttled"},
      {kSoftTemperatureLimit, "soft temperature limit"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((bits & bit) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

ProcessorState detect_processor(const std::string& root) {
  ProcessorState state;
  std::vector<unsigned> cores =
      parse_cpu_list(read_line(root + "/proc/self/status", "Cpus_allowed_list:"));
  const std::vector<unsigned> online =
      parse_cpu_list(read_line(root + "/sys/devices/system/cpu/online", ""));
  // The list of a process names cores that are gone as well.
  if (!online.empty()) {
    std::erase_if(cores, [&](unsigned cpu) { return !std::ranges::binary_search(online, cpu); });
  }
  if (cores.empty()) cores = scheduler_cores();
  state.online_cores = static_cast<unsigned>(online.size());
  if (!cores.empty()) {
    state.usable_cores = static_cast<unsigned>(cores.size());
    state.cores_source = ProcessorSource::kAffinity;
  }
  state.clock = detect_clock(root, cores);
  state.zones = detect_zones(root);
  state.throttle = detect_throttle(root);
  return state;
}

std::uint32_t running_clock_khz(const ProcessorState& state) {
  const ClockState& clock = state.clock;
  if (clock.source == ProcessorSource::kGiven) return clock.limit_khz;
  if (clock.source != ProcessorSource::kCpufreq) return 0;
  std::uint32_t khz = clock.limit_khz;
  if (is_literal_powersave(clock) && clock.lowest_khz != 0) khz = std::min(khz, clock.lowest_khz);
  const bool follows_current =
      clock.governor == "userspace" || (state.throttle && state.throttle->now() != 0);
  if (follows_current && clock.current_khz != 0) khz = std::min(khz, clock.current_khz);
  return khz;
}

unsigned usable_cores() {
  const std::size_t cores = scheduler_cores().size();
  return cores == 0 ? 1 : static_cast<unsigned>(cores);
}

}  // namespace cleave::agent
