// SPDX-License-Identifier: Apache-2.0
//
// The commands of cleave-agent; each returns the program's exit code.
#pragma once

#include "agent/command_options.h"

namespace cleave::agent {

int run_command(const CommandOptions& options);
// plan --replay: 0 when every decision is the same, 14 when one is not, 4 when the trace cannot be
// used.
int replay_command(const CommandOptions& options);
int plan_command(const CommandOptions& options);
int profile_command(const CommandOptions& options);
int fetch_command(const CommandOptions& options);
int update_command(const CommandOptions& options);
int doctor_command(const CommandOptions& options);

}  // namespace cleave::agent
