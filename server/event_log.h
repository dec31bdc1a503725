// SPDX-License-Identifier: Apache-2.0
//
// The server's log: one line for each event on standard error, for people and for programs.
//
//   time=2026-01-31T09:00:00.123Z level=info event=answered session=7 device="gate 2" request=12
//   ...
//   {"time":"2026-01-31T09:00:00.123Z","level":"info","event":"answered","session":7,...}
//
// Texts may come from a peer: they are quoted, and control characters are replaced. Of one event at
// most kLinesPerSecond lines are written a second; the next line then says how many were not
// (suppressed=N), and the counters know them all. Nothing here throws.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "schemas/log_field.h"
#include "server/server_stats.h"

namespace cleave::server {

enum class LogFormat { kText, kJson };

// Fields with an empty text, and ids (session, request) that are 0, are left out.
void log_event(LogLevel level, std::string_view event, LogFields fields);
inline void log_event(LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  log_event(level, event, LogFields(fields.begin(), fields.size()));
}

// Event "counters": all of the server's, in the order of their names.
void log_counters(const ServerStats& stats);

// `level`: debug, info, warn, error or off. Once, before the first event; without it events go to
// spdlog's default logger as text.
void start_log(LogFormat format, const std::string& level);

// One line without its end; pure.
std::string format_event(LogFormat format, std::string_view time, LogLevel level,
                         std::string_view event, LogFields fields, std::uint64_t suppressed);

// Lets so many lines of an event pass in a second. Not thread-safe.
class LogThrottle {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint32_t kLinesPerSecond = 20;

  struct Verdict {
    bool pass = false;
    std::uint64_t suppressed = 0;  // lines before this one that did not pass
  };
  Verdict ask(std::string_view event, Time now);

 private:
  struct Window {
    Time start;
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
  };
  std::map<std::string, Window, std::less<>> windows_;  // by event: ours, a few dozen
};

}  // namespace cleave::server
