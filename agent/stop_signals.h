// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM and SIGINT end a run with everything accounted for: after the pictures that are in work.
// A second one does what it does to any program, whatever the threads are at.
#pragma once

#include <signal.h>

#include <boost/asio/signal_set.hpp>

#include "agent/event_log.h"
#include "agent/net.h"
#include "agent/picture_run.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {

class StopSignals {
 public:
  // All must outlive it, or cancel(); `log` may be null.
  StopSignals(asio::io_context& io, PictureRun& run, EventLog* log)
      : signals_(io, SIGTERM, SIGINT) {
    for (const int number : {SIGTERM, SIGINT}) {
      restart_calls_after(number);
      handle_once(number);
    }
    signals_.async_wait([this, &run, log](const error_code& error, int) {
      if (error) return;
      log_event(log, LogLevel::kInfo, "stopping", {});
      run.stop();
      error_code ignored;
      signals_.clear(ignored);  // the other of the two ends it as well
    });
  }
  void cancel() { signals_.cancel(); }

 private:
  // The handler that is there takes one such signal; the next does what it does to any program.
  static void handle_once(int signal_number) {
    struct sigaction action {};
    if (::sigaction(signal_number, nullptr, &action) != 0) return;
    action.sa_flags |= static_cast<int>(SA_RESETHAND);
    (void)::sigaction(signal_number, &action, nullptr);
  }

  asio::signal_set signals_;
};

}  // namespace cleave::agent
