// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include <algorithm>
#include <cstdio>

#include "agent/command_options.h"

namespace cleave::agent {

Result<ProfileData> measure_here(const CommandOptions& options, const Device& device,
                                 const MeasureOptions& measure,
                                 const std::function<void(std::size_t, std::size_t)>& progress) {
  MeasureOptions here = measure;
  here.weight_budget_bytes = device.caps.ram.bytes / 4;
  here.weights = {.cache = device.cache, .preference = options.preference};
  CLEAVE_ASSIGN_OR_RETURN(const CapsOverrides overrides, read_overrides(options.caps));
  const auto processor_now = [&] {
    DeviceCaps caps;
    caps.processor = detect_processor(options.caps.sysfs_root);
    return apply_overrides(caps, overrides).processor;
  };
  bool clock_changed = false;
  auto profile = measure_at_clock(device.model, here, processor_now, progress, clock_changed);
  if (profile.is_ok() && clock_changed) {
    std::fprintf(stderr,
                 "cleave-agent: the clock changed while measuring; the lowest, %s, stands for all: "
                 "measure again when the device is cool\n",
                 clock_text(profile->clock_khz).c_str());
  }
  return profile;
}

Result<EdgeTimes> edge_times_for(const CommandOptions& options, const Device& device) {
  const std::string path = options.profile_path.empty() ? default_profile_path(options.model_path)
                                                        : options.profile_path;
  auto loaded = load_profile(path, *device.model, options.threads, options.preference);
  const std::string variant = device.model->header().variants()->Get(device.variant)->name()->str();
  const bool fits = loaded.is_ok() && find_variant(*loaded, variant) != nullptr;
  if (fits) return EdgeTimes{std::move(loaded).value(), EdgeTimesSource::kProfile, {}};
  const Status status = loaded.is_ok()
                            ? Status(StatusCode::kMismatch, path + " has no times of " + variant)
                            : loaded.status();
  if (!options.profile_path.empty()) {
    // Exit code "model mismatch" is kept for the two ends of the wire.
    return status.code() == StatusCode::kMismatch
               ? Status(StatusCode::kInvalidArgument, status.message())
               : status;
  }
  if (options.measure) {
    std::fprintf(stderr,
                 "cleave-agent: measuring this device (%s); 'cleave-agent profile' keeps it\n",
                 status.message().c_str());
    EdgeTimes times{.table = {},
                    .source = EdgeTimesSource::kMeasuredNow,
                    .note =
                        "the device's times are of 3 runs made now; `cleave-agent profile` "
                        "keeps better ones"};
    const std::uint64_t before = resident_bytes();
    CLEAVE_ASSIGN_OR_RETURN(
        times.table,
        measure_here(options, device,
                     {.threads = options.threads, .runs = 3, .variant = device.variant}, {}));
    ::malloc_trim(0);
    const std::uint64_t after = resident_bytes();
    times.kept_bytes = after - std::min(before, after);
    return times;
  }
  EdgeTimes times =
      computed_edge_times(*device.model, device.variant, device.caps.processor, options.threads);
  std::fprintf(stderr, "cleave-agent: no profile (%s): %s\n", status.message().c_str(),
               times.note.c_str());
  return times;
}

}  // namespace cleave::agent
