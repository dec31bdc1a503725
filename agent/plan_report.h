// SPDX-License-Identifier: Apache-2.0
//
// A plan as a table for people, or as JSON.
#pragma once

#include <vector>

#include "agent/baselines.h"
#include "agent/command_options.h"
#include "agent/plan_inputs.h"

namespace cleave::agent {

// One line on standard output; fields as README.md documents them.
void print_plan_json(const Plan& plan, const Device& device, const PlanInputs& inputs,
                     const std::vector<Baseline>& baselines, const CommandOptions& options);
// Every split with what it costs and why it is not chosen; the choice; what it has to beat.
void print_plan_text(const Plan& plan, const Device& device, const PlanInputs& inputs,
                     const std::vector<Baseline>& baselines);
// The baselines' part of each, plan_baselines.cc.
[[nodiscard]] nlohmann::ordered_json baseline_json(const Baseline& baseline);
void print_baselines(const std::vector<Baseline>& baselines, const PlanInputs& inputs);

}  // namespace cleave::agent
