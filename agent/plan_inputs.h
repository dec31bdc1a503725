// SPDX-License-Identifier: Apache-2.0
//
// What `plan` is made from: options, pictures, the device's table and the server's word.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/baselines.h"
#include "agent/command_options.h"
#include "agent/cut_codecs.h"
#include "agent/edge_times.h"
#include "agent/split_planner.h"
#include "schemas/status.h"

namespace cleave::agent {

struct PlanInputs {
  Trade trade;
  std::string variant_name;        // of the device's variant
  planner::Conditions conditions;  // the caps less what a picture itself takes
  planner::Link link;
  std::string link_source;
  std::optional<std::uint64_t> handshake_rtt_ns;  // with a server that was reached
  EdgeTimesSource times_source = EdgeTimesSource::kProfile;
  std::string times_note;     // one sentence; empty for a profile
  std::string variants_note;  // which precisions are left out, and why; empty for none
  DeviceSpeed speed, measured_speed;
  std::uint64_t overhead_bytes = 0;  // SplitPlanner::fixed_overhead_bytes()
  TimeScale scale;
  std::string otherwise;    // the choice without --what-if; empty without that option
  std::string server_note;  // why no server is counted; empty when one is
  PictureForms forms;
  std::uint64_t max_picture_bytes = UINT64_MAX;  // of the server; without one nothing is refused
  ProfileData edge_profile;                      // what codecs take here
  std::map<std::uint32_t, EncodeRates>
      encode_rates;                           // of each variant, where codecs may be planned
  std::optional<ProfileData> server_profile;  // of a server that was reached
  bool server_takes_codecs = true;
  bool server_takes_model_jpegs = true;
  std::string codecs_note;  // one sentence; empty for none

  // The forms with the file's bytes that this plan counts: the median, or with --bytes-at p95
  // those.
  [[nodiscard]] PictureForms counted_forms() const {
    PictureForms counted = forms;
    const bool at_p95 = conditions.bytes_at == planner::Percentile::kP95;
    if (at_p95 && counted.file_bytes) counted.file_bytes = forms.file_bytes_p95;
    return counted;
  }
  // A JPEG of that size may go as it is, if the server takes one so large.
  [[nodiscard]] PictureCost picture() const {
    const std::uint64_t counted = counted_forms().file_bytes.value_or(UINT64_MAX);
    return {forms.file_bytes.has_value() && counted <= max_picture_bytes,
            forms.file_bytes.value_or(0), forms.file_bytes_p95};
  }
};

// A planner of the device's variant and, with `every`, behind it those of the file's others.
[[nodiscard]] Result<std::vector<SplitPlanner>> make_planners(const CommandOptions& options,
                                                              const Device& device, bool every);

// edge_times_for(), after everything in the options that cannot be read was refused: nothing is
// measured for a plan that cannot be made. Errors: kInvalidArgument too.
[[nodiscard]] Result<EdgeTimes> plan_times(const CommandOptions& options, const Device& device);

// Gathers the rest into `inputs` and gives `planners` their tables. Where --codec auto is asked
// for, be it by the what-if alone, codecs that the table does not time are timed here. Of those but
// the first, one that the device has no times of is dropped, and one that the server has none of is
// left with the split that needs no server: variants_note says so. Errors: of a picture; kMismatch
// (the server holds another model). A server that is not there is no error: server_note says so.
Status gather_plan_inputs(const CommandOptions& options, const Device& device,
                          const EdgeTimes& times, std::vector<SplitPlanner>& planners,
                          PlanInputs& inputs);

// What follows from the options, the device's caps and what was gathered before: link, aims, speed
// and conditions. Measures nothing and asks nobody, so that two plans differ by their options
// alone. A server is counted if these options name one and gather_plan_inputs() reached it. Errors:
// kInvalidArgument.
Status settle_plan_inputs(const CommandOptions& options, const Device& device,
                          std::vector<SplitPlanner>& planners, PlanInputs& inputs);

// The plan of these inputs, among the splits of all variants.
[[nodiscard]] Plan decide(std::span<const SplitPlanner> planners, const PlanInputs& inputs);

// The variant to run with: that of the plan as it is now, and where nothing is feasible that of
// what OnlinePlanner::choose() falls back to; else the device's own. Of the pictures only
// the largest file counts; a variant that the server has no times of is not chosen, and a server
// that refuses is left to the run: here it is not there. Says on standard error which variants were
// left out. Errors: kInvalidArgument.
[[nodiscard]] Result<std::uint32_t> choose_variant(const CommandOptions& options,
                                                   const Device& device, const EdgeTimes& times);

}  // namespace cleave::agent
