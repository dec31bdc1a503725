// SPDX-License-Identifier: Apache-2.0
//
// How far a fetch has come, as one line of standard error that is written over.
#pragma once

#include <chrono>

#include "agent/model_fetch.h"
#include "schemas/exit_code.h"

namespace cleave::agent {

class FetchMeter {
 public:
  // Shows something only while standard error is a terminal, or when `lines`: then a line every ten
  // seconds, for logs.
  explicit FetchMeter(bool lines);
  void show(const FetchProgress& progress);
  // Takes the line away, so that others can be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool lines_;
  bool drawn_ = false;
  Clock::time_point next_;
};

// The exit code of a fetch that failed: what came with a wrong SHA-256 is no file of the user's.
[[nodiscard]] ExitCode fetch_exit_code(const Status& status);

}  // namespace cleave::agent
