// SPDX-License-Identifier: Apache-2.0
//
// Each thing that is detected, in a tree of files as the kernel shows it.
#include "agent/processor_state.h"

#include <doctest/doctest.h>

#include "agent/system_files.h"
#include "tests/support/fake_system.h"

namespace cleave::agent {
namespace {

using test::FakeSystem;

}  // namespace

TEST_CASE("lists of cores as the kernel writes them") {
  CHECK(parse_cpu_list("0-3") == std::vector<unsigned>{0, 1, 2, 3});
  CHECK(parse_cpu_list("5,0-1,1\n") == std::vector<unsigned>{0, 1, 5});
  CHECK(parse_cpu_list("").empty());
  CHECK(parse_cpu_list("nonsense").empty());
  CHECK(parse_cpu_list("7-x").empty());
  CHECK(parse_cpu_list("3-1").empty());
  CHECK(parse_cpu_list("0-4294967295").size() == 4096);
}

TEST_CASE("usable cores are those of the affinity that are online") {
  const FakeSystem system;
  system.write("proc/self/status", "Cpus_allowed:\tff\nCpus_allowed_list:\t0,2-5\n");
  CHECK(detect_processor(system.root()).usable_cores == 5);
  CHECK(detect_processor(system.root()).online_cores == 0);
  system.write("sys/devices/system/cpu/online", "0-3\n");
  const ProcessorState state = detect_processor(system.root());
  CHECK(state.usable_cores == 3);
  CHECK(state.online_cores == 4);
  CHECK(state.cores_source == ProcessorSource::kAffinity);
}

TEST_CASE("an empty tree: cores from the scheduler, and nothing else is known") {
  const FakeSystem system;
  const ProcessorState state = detect_processor(system.root());
  CHECK(state.usable_cores == usable_cores());
  CHECK(state.clock.source == ProcessorSource::kUnknown);
  CHECK(state.zones.empty());
  CHECK_FALSE(state.throttle.has_value());
  CHECK(running_clock_khz(state) == 0);
}

TEST_CASE("the clock of a computation is the limit, whatever an idle governor has it at now") {
  const FakeSystem system;
  system.write_clock(1'500'000, 600'000);
  const ProcessorState state = detect_processor(system.root());
  CHECK(state.clock.source == ProcessorSource::kCpufreq);
  CHECK(state.clock.current_khz == 600'000);
  CHECK(state.clock.limit_khz == 1'500'000);
  CHECK(state.clock.lowest_khz == 600'000);
  CHECK(state.clock.hardware_khz == 1'500'000);
  CHECK(state.clock.governor == "ondemand");
  CHECK(running_clock_khz(state) == 1'500'000);
  // A cooling device or the user lowers it.
  system.write_clock(1'000'000, 600'000);
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'000'000);
}

TEST_CASE("governors that do not follow the load") {
  const FakeSystem system;
  system.write_clock(1'500'000, 900'000, "powersave");
  CHECK(running_clock_khz(detect_processor(system.root())) == 600'000);
  system.write_clock(1'500'000, 900'000, "userspace");
  CHECK(running_clock_khz(detect_processor(system.root())) == 900'000);
  system.write_clock(1'500'000, 900'000, "performance");
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'500'000);
  // This driver chooses by load under the same name.
  system.write_clock(1'500'000, 900'000, "powersave");
  for (const char* core : {"0", "1"}) {
    system.write(std::string("sys/devices/system/cpu/cpu") + core + "/cpufreq/scaling_driver",
                 "intel_pstate\n");
  }
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'500'000);
}

TEST_CASE("of unlike cores the fastest that may be used counts") {
  const FakeSystem system;
  const auto core = [&](const char* name, const char* limit) {
    system.write(std::string("sys/devices/system/cpu/") + name + "/cpufreq/scaling_max_freq",
                 limit);
  };
  core("cpu0", "1400000\n");
  core("cpu4", "2200000\n");
  system.write("proc/self/status", "Cpus_allowed_list:\t0-7\n");
  CHECK(running_clock_khz(detect_processor(system.root())) == 2'200'000);
  system.write("proc/self/status", "Cpus_allowed_list:\t0-3\n");
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'400'000);
}

TEST_CASE("without cpufreq the clock is shown, and scales nothing") {
  const FakeSystem system;
  system.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: x\ncpu MHz\t\t: 2299.998\n");
  const ProcessorState state = detect_processor(system.root());
  CHECK(state.clock.source == ProcessorSource::kCpuInfo);
  CHECK(state.clock.current_khz == 2'299'998);
  CHECK(running_clock_khz(state) == 0);
}

TEST_CASE("files that say no clock are no clock") {
  for (const char* content : {"", "fast\n", "99999999999999\n", "-5\n", "\n\n"}) {
    CAPTURE(content);
    const FakeSystem system;
    system.write("proc/self/status", "Cpus_allowed_list:\t0\n");
    system.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", content);
    CHECK(detect_processor(system.root()).clock.source == ProcessorSource::kUnknown);
  }
}

TEST_CASE("thermal zones, and where the kernel begins to slow down") {
  const FakeSystem system;
  const std::string zones = "sys/class/thermal/thermal_zone";
  system.write(zones + "10/type", "gpu-thermal\n");
  system.write(zones + "10/temp", "-2500\n");
  system.write(zones + "2/type", "cpu-thermal\n");
  system.write(zones + "2/temp", "71234\n");
  system.write(zones + "2/trip_point_0_type", "critical\n");
  system.write(zones + "2/trip_point_0_temp", "110000\n");
  system.write(zones + "2/trip_point_1_type", "passive\n");
  system.write(zones + "2/trip_point_1_temp", "80000\n");
  system.write(zones + "2/trip_point_2_type", "passive\n");
  system.write(zones + "2/trip_point_2_temp", "75000\n");
  system.write(zones + "3/temp", "-274000\n");  // a sensor that is off
  system.write(zones + "4/type", "none\n");     // and one that cannot be read
  const ProcessorState state = detect_processor(system.root());
  REQUIRE(state.zones.size() == 2);
  CHECK(state.zones[0].type == "cpu-thermal");
  CHECK(state.zones[0].millidegrees == 71'234);
  CHECK(state.zones[0].passive_millidegrees == 75'000);
  CHECK(state.zones[1].type == "gpu-thermal");
  CHECK(state.zones[1].millidegrees == -2'500);
  CHECK_FALSE(state.zones[1].passive_millidegrees.has_value());
}

TEST_CASE("the Raspberry Pi's flags, now and since boot") {
  struct Case {
    const char* written;
    std::uint32_t now, since_boot;
  };
  for (const Case& c : {Case{"0", 0, 0}, Case{"50005", kUnderVoltage | kThrottled, 0x5},
                        Case{"0x50000", 0, kUnderVoltage | kThrottled},
                        Case{"80008", kSoftTemperatureLimit, kSoftTemperatureLimit},
                        Case{"e0002", kClockCapped, 0xe}}) {
    CAPTURE(c.written);
    const FakeSystem system;
    system.write_throttled(c.written);
    const ProcessorState state = detect_processor(system.root());
    REQUIRE(state.throttle.has_value());
    CHECK(state.throttle->source == ProcessorSource::kPiFirmware);
    CHECK(state.throttle->now() == c.now);
    CHECK(state.throttle->since_boot() == c.since_boot);
  }
  CHECK(throttle_text(0xf) == "under-voltage, clock capped, throttled, soft temperature limit");
  CHECK(throttle_text(0).empty());
}

TEST_CASE("the firmware's device on other boards, and kernels that only know of under-voltage") {
  const FakeSystem other;
  other.write("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "4\n");
  CHECK(detect_processor(other.root()).throttle->now() == kThrottled);

  const FakeSystem upstream;
  upstream.write("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
  upstream.write("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
  CHECK_FALSE(detect_processor(upstream.root()).throttle.has_value());
  upstream.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
  CHECK(detect_processor(upstream.root()).throttle->now() == 0);
  upstream.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
  const ProcessorState state = detect_processor(upstream.root());
  CHECK(state.throttle->now() == kUnderVoltage);
  CHECK(state.throttle->source == ProcessorSource::kPiVoltage);
}

TEST_CASE("held back by the firmware, the clock is what it is now; what has passed holds nothing") {
  const FakeSystem system;
  system.write_clock(1'500'000, 900'000);
  system.write_throttled("f0000");
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'500'000);
  for (const char* flags : {"1", "2", "4", "8"}) {
    CAPTURE(flags);
    system.write_throttled(flags);
    CHECK(running_clock_khz(detect_processor(system.root())) == 900'000);
  }
  // What the hardware says, where it may be read, and never more than the limit.
  system.write("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq", "700000\n");
  CHECK(running_clock_khz(detect_processor(system.root())) == 700'000);
  system.write("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq", "1800000\n");
  CHECK(running_clock_khz(detect_processor(system.root())) == 1'500'000);
}

}  // namespace cleave::agent
