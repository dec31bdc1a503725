// SPDX-License-Identifier: Apache-2.0
//
// The exit codes of every cleave program; printed by --help and documented in README.md.
#pragma once

#include <string_view>

#include "schemas/status.h"

namespace cleave {

enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,           // a bug: please report the line printed
  kUsage = 2,              // the command line or a configuration file is wrong
  kNotFound = 3,           // no such file or name
  kBadInput = 4,           // a picture, source model, operator or trace that cannot be used
  kCorruptModel = 5,       // a cleave model file that does not check
  kModelMismatch = 6,      // agent and server: another model or protocol, or no trust
  kPortUnavailable = 7,    // the address to listen on is taken or not allowed
  kServerUnreachable = 8,  // no server, and the answer could not be had on the device
  kSplitOutOfRange = 9,    // --split names no layer or operator of this model
  kCapTooSmall = 10,       // no split is within the bounds (memory, storage, deadline, ...)
  kIo = 11,                // reading or writing failed (disk full, permission)
  kPartial = 12,           // the run ended, but some pictures have no answer
  kSelfTestFailed = 13,    // the model's self-test gives other scores on this machine
  kReplayDiffers = 14,     // the decisions of a trace, taken again, are others
};

// The table of codes and their meanings, one per line, as --help prints it.
std::string_view exit_code_help();

}  // namespace cleave
