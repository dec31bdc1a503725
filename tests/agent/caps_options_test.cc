// SPDX-License-Identifier: Apache-2.0
#include "agent/caps_options.h"

#include <doctest/doctest.h>

#include "agent/caps_report.h"
#include "tests/support/fake_system.h"

namespace cleave::agent {
namespace {

using test::FakeSystem;

DeviceCaps detect(const FakeSystem& system) { return detect_caps(system.root(), 0, system.root()); }

// A Pi that runs hot, with 512 MB available.
void write_board(const FakeSystem& system) {
  system.write_clock(1'500'000);
  system.write_throttled("80008");
  system.write("proc/meminfo", "MemAvailable: 512000 kB\n");
}

}  // namespace

TEST_CASE("each thing detected gives way to its option, and says that it was given") {
  const FakeSystem system;
  write_board(system);
  const CapsTexts texts{.ram = "64MiB",
                        .storage = "1GB",
                        .clock = "1.2GHz",
                        .throttled = "0x50005",
                        .cores = 3,
                        .sysfs_root = {},
                        .energy = {}};
  const auto overrides = read_overrides(texts);
  REQUIRE_MESSAGE(overrides.is_ok(), overrides.status().message());
  const DeviceCaps caps = apply_overrides(detect(system), *overrides);
  CHECK(caps.ram.bytes == 64 * 1024 * 1024);
  CHECK(caps.ram.source == CapSource::kGiven);
  CHECK(caps.storage.bytes == 1'000'000'000);
  CHECK(caps.storage.source == CapSource::kGiven);
  CHECK(caps.processor.usable_cores == 3);
  CHECK(caps.processor.cores_source == ProcessorSource::kGiven);
  CHECK(caps.processor.throttle->bits == 0x50005);
  CHECK(caps.processor.throttle->source == ProcessorSource::kGiven);
  CHECK(caps.processor.clock.source == ProcessorSource::kGiven);
  CHECK(running_clock_khz(caps.processor) == 1'200'000);
}

TEST_CASE("what is not given stays as detected") {
  const FakeSystem system;
  write_board(system);
  const DeviceCaps seen = detect(system);
  const auto overrides = read_overrides({});
  REQUIRE(overrides.is_ok());
  const DeviceCaps caps = apply_overrides(seen, *overrides);
  CHECK(caps.ram.bytes == 512000 * 1024ULL);
  CHECK(caps.ram.source == CapSource::kMemAvailable);
  CHECK(caps.processor.throttle->now() == kSoftTemperatureLimit);
  CHECK(running_clock_khz(caps.processor) == 600'000);
  // "none" overrules the firmware.
  const DeviceCaps free = apply_overrides(seen, *read_overrides({.throttled = "none"}));
  CHECK(running_clock_khz(free.processor) == 1'500'000);
}

TEST_CASE("overrides that cannot be read name their option") {
  const auto refused = [](const CapsTexts& texts, const char* says) {
    const Status status = read_overrides(texts).status();
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK_MESSAGE(status.message().find(says) != std::string::npos, status.message());
  };
  refused({.ram = "much"}, "--ram: 'much'");
  refused({.storage = "1 parsec"}, "--storage");
  refused({.clock = "1500"}, "--clock: '1500'");
  for (const char* flags : {"yes", "0x", "0x50005x", "0x10", "100000", "-1"}) {
    CAPTURE(flags);
    refused({.throttled = flags}, "--throttled");
  }
  CHECK(caps_period({.period = "5"}).status().code() == StatusCode::kInvalidArgument);
  CHECK(caps_period({.period = "25000000s"}).status().code() == StatusCode::kInvalidArgument);
  CHECK(*caps_period({}) == std::chrono::seconds(5));
}

TEST_CASE("a watch looks again after its period, not before, and tells what changed in speed") {
  const FakeSystem system;
  write_board(system);
  system.write_throttled("0");
  int looks = 0;
  CapsWatch watch(
      detect(system),
      [&] {
        ++looks;
        return detect(system);
      },
      std::chrono::seconds(5));
  const auto start = CapsWatch::Clock::now();
  CHECK_FALSE(watch.refresh(start));
  CHECK(watch.take_notice().empty());
  system.write_clock(1'000'000);
  system.write("proc/meminfo", "MemAvailable: 1000 kB\n");
  CHECK_FALSE(watch.refresh(start + std::chrono::seconds(4)));
  CHECK(looks == 0);
  CHECK(running_clock_khz(watch.caps().processor) == 1'500'000);

  CHECK(watch.refresh(start + std::chrono::seconds(6)));
  CHECK(looks == 1);
  CHECK(watch.caps().ram.bytes == 1000 * 1024);
  CHECK(watch.take_notice() == "the clock is 1000 MHz, was 1500 MHz");
  CHECK(watch.take_notice().empty());
  CHECK_FALSE(watch.refresh(start + std::chrono::seconds(10)));

  system.write_throttled("50005");
  system.write("proc/self/status", "Cpus_allowed_list:\t0\n");
  CHECK(watch.refresh(start + std::chrono::seconds(12)));
  CHECK(watch.take_notice() ==
        "the clock is 600 MHz, was 1000 MHz; usable cores: 1, were 2; the firmware says "
        "under-voltage, throttled");
  system.write_throttled("50000");
  CHECK(watch.refresh(start + std::chrono::seconds(18)));
  CHECK(watch.take_notice() ==
        "the clock is 1000 MHz, was 600 MHz; the firmware holds nothing back any more");
}

TEST_CASE("in words: what is known, from where, and what is not") {
  const FakeSystem system;
  write_board(system);
  system.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  system.write("sys/class/thermal/thermal_zone0/temp", "81500\n");
  system.write("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n");
  system.write("sys/class/thermal/thermal_zone0/trip_point_0_temp", "80000\n");
  const DeviceCaps caps = detect(system);
  CHECK(cores_text(caps.processor) == "2 usable (affinity) of 2 online");
  CHECK(clock_state_text(caps.processor) ==
        "600 MHz (cpufreq): now 600 MHz, limit 1500 MHz, hardware 1500 MHz, governor ondemand");
  CHECK(zones_text(caps.processor) ==
        "cpu-thermal 81.5 C, AT OR OVER 80.0 C where the kernel slows down");
  CHECK(throttle_state_text(caps.processor) ==
        "now: soft temperature limit; since boot: soft temperature limit (Raspberry Pi firmware)");
  CHECK(ram_text(caps) == "500.0 MiB (available memory)");
  const FakeSystem nothing;
  const DeviceCaps unknown = detect(nothing);
  CHECK(clock_state_text(unknown.processor) == "not known; --clock states it");
  CHECK(throttle_state_text(unknown.processor) == "not known (no Raspberry Pi firmware)");
  CHECK(zones_text(unknown.processor) == "not known");
}

}  // namespace cleave::agent
