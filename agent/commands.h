// SPDX-License-Identifier: Apache-2.0
//
// The commands of cleave-agent; each returns the program's exit code.
#pragma once

#include "agent/command_options.h"

namespace cleave::agent {

int run_command(const CommandOptions& options);
int plan_command(const CommandOptions& options);
int profile_command(const CommandOptions& options);
int doctor_command(const CommandOptions& options);

}  // namespace cleave::agent
