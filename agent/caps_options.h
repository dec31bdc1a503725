// SPDX-License-Identifier: Apache-2.0
//
// What bounds a plan: detected, overridden by options, and detected again while the agent runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/device_caps.h"
#include "agent/energy_constants.h"
#include "agent/time_scale.h"
#include "engine/weight_cache_folder.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cleave::agent {

// As written on the command line.
struct CapsTexts {
  std::string ram = {}, storage = {}, clock = {}, throttled = {};
  unsigned cores = 0;  // 0: detected
  std::string sysfs_root = {};
  std::string period = "5s";
  EnergyTexts energy = {};
};

void add_cap_options(CLI::App& command, CapsTexts& texts);
// For the command that runs on: --caps-period.
void add_caps_period_option(CLI::App& command, CapsTexts& texts);

// The overrides, read once; what is none is detected.
struct CapsOverrides {
  std::optional<std::uint64_t> ram_bytes, storage_bytes;
  std::optional<std::uint32_t> clock_khz, throttle_bits;
  std::optional<unsigned> cores;
};

// Errors: kInvalidArgument, with the option.
[[nodiscard]] Result<CapsOverrides> read_overrides(const CapsTexts& texts);
[[nodiscard]] Result<std::chrono::nanoseconds> caps_period(const CapsTexts& texts);
[[nodiscard]] DeviceCaps apply_overrides(DeviceCaps detected, const CapsOverrides& overrides);

// Detects and overrides. Storage counts what a weight cache on the model's disk holds as free: it
// was put there for models. `cache` may be null.
[[nodiscard]] DeviceCaps current_caps(const ModelFile& model, const WeightCacheFolder* cache,
                                      const std::string& root, const CapsOverrides& overrides);

// The caps of a device while it runs. Used by one thread.
class CapsWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `detect` gives the caps as they are when it is called.
  CapsWatch(DeviceCaps first, std::function<DeviceCaps()> detect, std::chrono::nanoseconds period);

  // Detects again when `period` has passed since the last time (or the start). Gives whether it
  // did; a period of 0 does each time.
  bool refresh(Clock::time_point now = Clock::now());
  [[nodiscard]] const DeviceCaps& caps() const { return caps_; }
  // What has changed in speed since the last call, as a sentence; empty: nothing has.
  [[nodiscard]] std::string take_notice();

 private:
  DeviceCaps caps_;
  std::function<DeviceCaps()> detect_;
  std::chrono::nanoseconds period_;
  Clock::time_point last_ = Clock::now();
  ProcessorState noticed_;
};

// What plans scale the device's times by.
[[nodiscard]] inline DeviceSpeed speed_now(const ProcessorState& processor) {
  return {.clock_khz = running_clock_khz(processor), .cores = processor.usable_cores};
}

// "1500 MHz", or "not known" for 0.
[[nodiscard]] std::string clock_text(std::uint32_t khz);

}  // namespace cleave::agent
