// SPDX-License-Identifier: Apache-2.0
#include "agent/fetch_progress.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "agent/caps_report.h"
#include "agent/command_options.h"

namespace cleave::agent {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kLine{10};

}  // namespace

FetchMeter::FetchMeter(bool lines)
    : terminal_(isatty(STDERR_FILENO) != 0),
      lines_(lines),
      next_(Clock::now() + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLine))) {}

void FetchMeter::show(const FetchProgress& progress) {
  if (!terminal_ && !lines_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLine));
  drawn_ = terminal_;
  std::fprintf(stderr, "%sfetching: %s of %s%s",
               terminal_ ? "\r" : "cleave-agent: ", mebibytes_text(progress.bytes).c_str(),
               mebibytes_text(progress.total_bytes).c_str(), terminal_ ? "\033[K" : "\n");
}

void FetchMeter::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

ExitCode fetch_exit_code(const Status& status) {
  return status.code() == StatusCode::kCorrupt ? ExitCode::kServerUnreachable
                                               : exit_code_of(status);
}

}  // namespace cleave::agent
