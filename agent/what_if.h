// SPDX-License-Identifier: Apache-2.0
//
// `plan --what-if bandwidth=2mbit,ram=64MiB`: the same plan, had an option another value.
#pragma once

#include <string>

#include "agent/command_options.h"
#include "schemas/status.h"

namespace cleave::agent {

// `options` with the values of `text`, a list of NAME=VALUE: bandwidth, rtt, ram, storage, cores,
// clock, min-split, deadline, energy-budget, cost-bound, latency-budget, objective, rank, policy,
// server=none. Values as the options of those names take them, or none: as if the option were not
// there; they are read where those are. An empty text changes nothing. Errors: kInvalidArgument: no
// such name, no value, a name twice, no number where there must be one.
[[nodiscard]] Result<CommandOptions> apply_what_if(const CommandOptions& options,
                                                   const std::string& text);

}  // namespace cleave::agent
