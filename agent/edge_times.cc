// SPDX-License-Identifier: Apache-2.0
#include "agent/edge_times.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/caps_options.h"
#include "engine/multiply_adds.h"
#include "planner/cost_model.h"

namespace cleave::agent {
namespace {

struct AssumedClock {
  std::uint32_t khz = kAssumedClockKhz;
  const char* source = "assumed; --clock states it";
};

AssumedClock clock_of(const ProcessorState& processor) {
  if (const std::uint32_t running = running_clock_khz(processor); running != 0) {
    return {running, processor_source_name(processor.clock.source)};
  }
  if (processor.clock.current_khz != 0) {
    return {processor.clock.current_khz, processor_source_name(processor.clock.source)};
  }
  return {};
}

}  // namespace

const char* edge_times_source_name(EdgeTimesSource source) {
  switch (source) {
    case EdgeTimesSource::kProfile:
      return "profile";
    case EdgeTimesSource::kMeasuredNow:
      return "measured now";
    case EdgeTimesSource::kComputed:
      return "computed";
  }
  return "?";
}

EdgeTimes computed_edge_times(const ModelFile& model, std::uint32_t variant_index,
                              const ProcessorState& processor, unsigned threads) {
  const fbs::Variant& variant = *model.header().variants()->Get(variant_index);
  const AssumedClock clock = clock_of(processor);
  const unsigned cores = std::min(processor.usable_cores, threads);
  std::vector<std::uint64_t> work;
  for (const fbs::Op* op : *variant.ops()) work.push_back(multiply_adds(variant, *op));
  VariantProfile table{.variant = variant.name()->str(), .threads = threads};
  table.op_median_ns.resize(work.size());
  planner::literal_op_ns(work, {.cores = cores, .clock_hz = std::uint64_t{clock.khz} * 1000},
                         table.op_median_ns);
  table.op_p95_ns = table.op_median_ns;
  EdgeTimes times{.table = {},
                  .source = EdgeTimesSource::kComputed,
                  .note = "the device's times are computed, not measured: multiply-adds / (" +
                          std::to_string(cores) + (cores == 1 ? " core" : " cores") + " x " +
                          clock_text(clock.khz) + ", " + clock.source +
                          "); `cleave-agent profile` measures them"};
  times.table.model_identity = model.identity();
  times.table.processor = "computed";
  times.table.variants.push_back(std::move(table));
  // At another clock later, other times; those of an assumed clock have nothing to go by.
  times.table.clock_khz = running_clock_khz(processor);
  times.table.cores = processor.usable_cores;
  return times;
}

Result<ProfileData> measure_at_clock(const std::shared_ptr<const ModelFile>& model,
                                     const MeasureOptions& options,
                                     const std::function<ProcessorState()>& processor_now,
                                     const std::function<void(std::size_t, std::size_t)>& progress,
                                     bool& clock_changed) {
  const ProcessorState before = processor_now();
  const std::uint32_t first_khz = running_clock_khz(before);
  std::uint32_t lowest_khz = first_khz;
  clock_changed = false;
  const auto look = [&] {
    const std::uint32_t khz = running_clock_khz(processor_now());
    if (khz != first_khz) clock_changed = true;
    lowest_khz = std::min(lowest_khz, khz);
  };
  CLEAVE_ASSIGN_OR_RETURN(ProfileData profile,
                          measure_profile(model, options, [&](std::size_t done, std::size_t all) {
                            look();
                            if (progress) progress(done, all);
                          }));
  look();
  profile.clock_khz = lowest_khz;
  profile.cores = before.usable_cores;
  return profile;
}

}  // namespace cleave::agent
