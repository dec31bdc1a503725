// SPDX-License-Identifier: Apache-2.0
//
// `plan --plot FILE.svg`: a plan as two charts.
#pragma once

#include <string>

#include "agent/plan_inputs.h"
#include "schemas/status.h"

namespace cleave::agent {

// The stacked latency of every split, the choice marked, and the front among all splits. SVG.
[[nodiscard]] std::string plan_plot(const Plan& plan, const std::string& model,
                                    const PlanInputs& inputs);

// The same into a file, whole or not at all. Errors: kIo.
[[nodiscard]] Status write_plan_plot(const std::string& path, const Plan& plan,
                                     const Device& device, const PlanInputs& inputs);

}  // namespace cleave::agent
