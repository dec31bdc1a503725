// SPDX-License-Identifier: Apache-2.0
//
// A decision in words.
#pragma once

#include <string>

#include "agent/split_planner.h"

namespace cleave::agent {

// One sentence: what was chosen and why, or which bounds left nothing to choose.
[[nodiscard]] std::string describe(const Plan& plan, FrontPick pick);

}  // namespace cleave::agent
