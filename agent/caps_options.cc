// SPDX-License-Identifier: Apache-2.0
#include "agent/caps_options.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

namespace cleave::agent {
namespace {

// Detected, the cap is what is free beside what was put there for models.
void count_cache(const WeightCacheFolder& cache, const std::string& model_path, Cap& storage) {
  struct stat folder {
  }, model{};
  const bool on_one_disk = ::stat(cache.path().c_str(), &folder) == 0 &&
                           ::stat(model_path.c_str(), &model) == 0 && folder.st_dev == model.st_dev;
  if (storage.source == CapSource::kFileSystem && on_one_disk) {
    storage.bytes += cache.usage().bytes;
  }
}

// Flags as `vcgencmd get_throttled` prints them: 0x50005.
Result<std::uint32_t> parse_throttled(std::string_view text) {
  if (text == "none") return std::uint32_t{0};
  const bool prefixed = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = text.substr(prefixed ? 2 : 0);
  std::uint32_t bits = 0;
  const auto end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, bits, 16);
  constexpr std::uint32_t kKnown = kThrottleNow | kThrottleNow << kThrottleSinceBootShift;
  if (read.ec != std::errc() || read.ptr != end || (bits & ~kKnown) != 0) {
    return Status(StatusCode::kInvalidArgument,
                  "'" + std::string(text) +
                      "' is not the flags of a Raspberry Pi; write for example 0x50005, or none");
  }
  return bits;
}

}  // namespace

void add_cap_options(CLI::App& command, CapsTexts& texts) {
  const auto option = [&](const char* flag, std::string& text, const char* help, const char* type) {
    command.add_option(flag, text, help)->type_name(type);
  };
  option("--ram", texts.ram, "Memory cap (default: what the system has to give)", "SIZE");
  option("--storage", texts.storage, "Storage cap (default: what is free)", "SIZE");
  command
      .add_option("--cores", texts.cores,
                  "Cores to plan with (default: those this process may use)")
      ->check(CLI::Range(1U, 4096U));
  option("--clock", texts.clock,
         "Clock to plan with, as in 1500MHz (default: the limit that cpufreq states; lower when "
         "the governor or the firmware says so)",
         "CLOCK");
  option("--throttled", texts.throttled,
         "Flags of a Raspberry Pi's firmware, as in 0x50005, or none (default: its own)", "FLAGS");
  option("--sysfs-root", texts.sysfs_root,
         "Read /proc and /sys below this folder: another machine's, or a test's", "DIR");
  option("--power-active", texts.energy.active,
         "For modelled energy: power of the board while it computes, as in 3.5W", "POWER");
  option("--power-idle", texts.energy.idle, "The same while it waits for the server, as in 1.9W",
         "POWER");
  option("--radio-energy", texts.energy.radio, "The same for each byte sent besides, as in 120nJ",
         "ENERGY");
}

void add_caps_period_option(CLI::App& command, CapsTexts& texts) {
  command
      .add_option("--caps-period", texts.period,
                  "Memory, storage and clock are looked at again before a picture when this long "
                  "has passed, and plans follow; 0s: before each picture")
      ->type_name("TIME")
      ->capture_default_str();
}

Result<CapsOverrides> read_overrides(const CapsTexts& texts) {
  CapsOverrides overrides;
  const auto read = [](const std::string& text, const char* flag, auto parse, auto& value) {
    if (text.empty()) return Status::ok();
    const auto parsed = parse(text);
    if (!parsed.is_ok()) return parsed.status().with_context(flag);
    value = *parsed;
    return Status::ok();
  };
  CLEAVE_RETURN_IF_ERROR(read(texts.ram, "--ram", parse_bytes, overrides.ram_bytes));
  CLEAVE_RETURN_IF_ERROR(read(texts.storage, "--storage", parse_bytes, overrides.storage_bytes));
  CLEAVE_RETURN_IF_ERROR(read(texts.clock, "--clock", parse_clock_khz, overrides.clock_khz));
  CLEAVE_RETURN_IF_ERROR(
      read(texts.throttled, "--throttled", parse_throttled, overrides.throttle_bits));
  if (texts.cores != 0) overrides.cores = texts.cores;
  return overrides;
}

Result<std::chrono::nanoseconds> caps_period(const CapsTexts& texts) {
  constexpr std::uint64_t kDayNs = 24ULL * 3600 * 1'000'000'000;
  const auto ns = parse_duration_ns(texts.period);
  if (!ns.is_ok()) return ns.status().with_context("--caps-period");
  if (*ns > kDayNs) return Status(StatusCode::kInvalidArgument, "--caps-period: at most a day");
  return std::chrono::nanoseconds(*ns);
}

DeviceCaps apply_overrides(DeviceCaps detected, const CapsOverrides& overrides) {
  if (overrides.ram_bytes) detected.ram = {*overrides.ram_bytes, CapSource::kGiven};
  if (overrides.storage_bytes) detected.storage = {*overrides.storage_bytes, CapSource::kGiven};
  ProcessorState& processor = detected.processor;
  if (overrides.clock_khz) {
    processor.clock.limit_khz = *overrides.clock_khz;
    processor.clock.source = ProcessorSource::kGiven;
  }
  if (overrides.throttle_bits) {
    processor.throttle = ThrottleFlags{*overrides.throttle_bits, ProcessorSource::kGiven};
  }
  if (overrides.cores) {
    processor.usable_cores = *overrides.cores;
    processor.cores_source = ProcessorSource::kGiven;
  }
  return detected;
}

DeviceCaps current_caps(const ModelFile& model, const WeightCacheFolder* cache,
                        const std::string& root, const CapsOverrides& overrides) {
  DeviceCaps caps = detect_caps(model.path(), model.stored_bytes(), root);
  if (cache != nullptr) count_cache(*cache, model.path(), caps.storage);
  return apply_overrides(std::move(caps), overrides);
}

CapsWatch::CapsWatch(DeviceCaps first, std::function<DeviceCaps()> detect,
                     std::chrono::nanoseconds period)
    : caps_(std::move(first)),
      detect_(std::move(detect)),
      period_(period),
      noticed_(caps_.processor) {}

bool CapsWatch::refresh(Clock::time_point now) {
  if (now - last_ < period_) return false;
  last_ = now;
  caps_ = detect_();
  return true;
}

std::string CapsWatch::take_notice() {
  const ProcessorState before = std::exchange(noticed_, caps_.processor);
  const ProcessorState& now = caps_.processor;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (const auto khz = running_clock_khz(now); khz != running_clock_khz(before)) {
    add("the clock is " + clock_text(khz) + ", was " + clock_text(running_clock_khz(before)));
  }
  if (now.usable_cores != before.usable_cores) {
    add("usable cores: " + std::to_string(now.usable_cores) + ", were " +
        std::to_string(before.usable_cores));
  }
  const std::uint32_t flags = now.throttle ? now.throttle->now() : 0;
  if (flags != (before.throttle ? before.throttle->now() : 0)) {
    add(flags == 0 ? "the firmware holds nothing back any more"
                   : "the firmware says " + throttle_text(flags));
  }
  return text;
}

std::string clock_text(std::uint32_t khz) {
  if (khz == 0) return "not known";
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g MHz", static_cast<double>(khz) / 1000);
  return text;
}

}  // namespace cleave::agent
