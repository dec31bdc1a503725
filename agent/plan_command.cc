// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "agent/commands.h"
#include "agent/online_planner.h"
#include "agent/plan_plot.h"
#include "agent/plan_report.h"
#include "agent/wanted_codecs.h"
#include "agent/what_if.h"

namespace cleave::agent {
namespace {

int print_plan(const CommandOptions& options, const Device& device,
               std::span<const SplitPlanner> planners, const PlanInputs& inputs) {
  const Plan plan = decide(planners, inputs);
  const std::vector<Baseline> baselines =
      list_baselines(planners, plan, inputs.counted_forms(), inputs.link, inputs.max_picture_bytes);
  options.json ? print_plan_json(plan, device, inputs, baselines, options)
               : print_plan_text(plan, device, inputs, baselines);
  if (const int code = finish_output(ExitCode::kOk); code != 0) return code;
  if (!options.plot.empty()) {
    const Status written = write_plan_plot(options.plot, plan, device, inputs);
    if (!written.is_ok()) return fail(ExitCode::kIo, written.message());
  }
  if (plan.chosen) return static_cast<int>(ExitCode::kOk);
  if (!only_server_is_missing(plan, inputs.trade.request.policy)) {
    return fail(ExitCode::kCapTooSmall, plan.why);
  }
  return fail(ExitCode::kServerUnreachable, inputs.server_note + "; " + plan.why);
}

// The same tables, link and server with the other options.
Status settle_what_if(const CommandOptions& changed, Device& device,
                      std::vector<SplitPlanner>& planners, PlanInputs& inputs) {
  inputs.otherwise = decide(planners, inputs).why;
  CLEAVE_RETURN_IF_ERROR(detect_caps(changed, device));
  return settle_plan_inputs(changed, device, planners, inputs);
}

}  // namespace

int plan_command(const CommandOptions& options) {
  if (!options.replay.empty()) return replay_command(options);
  const auto changed = apply_what_if(options, options.what_if);
  if (!changed.is_ok()) return fail(ExitCode::kUsage, changed.status().message());
  for (const CommandOptions* asked : {&options, &*changed}) {
    const auto codec = wanted_codec(*asked);
    if (!codec.is_ok()) return fail(ExitCode::kUsage, codec.status().message());
    const auto jpeg = wanted_jpeg_quality(*asked);
    if (!jpeg.is_ok()) return fail(ExitCode::kUsage, jpeg.status().message());
  }
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  const bool every = chooses_variant(options) || chooses_variant(*changed);
  auto planners = make_planners(options, *device, every);
  if (!planners.is_ok()) return fail(ExitCode::kInternal, planners.status().message());
  const auto times = plan_times(options, *device);
  if (!times.is_ok()) return fail(exit_code_of(times.status()), times.status().message());
  PlanInputs inputs;
  Status status = gather_plan_inputs(options, *device, *times, *planners, inputs);
  if (status.is_ok() && !options.what_if.empty()) {
    status = settle_what_if(*changed, *device, *planners, inputs);
  }
  if (!status.is_ok()) return fail(exit_code_of(status), status.message());
  warn_of_cache(*device);
  return print_plan(*changed, *device, *planners, inputs);
}

}  // namespace cleave::agent
