// SPDX-License-Identifier: Apache-2.0
//
// The agent's log (`run --log FILE`): a JSON line for each event, with its time, level and the ids
// of the request that it is about, so that what happened can be told from this file and the
// server's log alone. README.md of this module lists the events.
//
//   {"time":"2026-01-31T09:00:00.123Z","level":"info","event":"busy","wire_id":"7151358562378",
//    "retry_after_ms":200}
//
// Texts may come from a peer: they are cut and cleaned. Nothing here throws or ends a run; what
// could not be written is told by status(). Used by one thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "schemas/file_descriptor.h"
#include "schemas/log_field.h"
#include "schemas/status.h"

namespace cleave::agent {

class EventLog {
 public:
  // Appends to the file, which is made if it is not there, and begins a new line where it ends in
  // half of one; "-": standard error. `lowest` is the
  // level from which on events are written: debug, info, warn or error. Errors:
  // kInvalidArgument (another level), kIo, kNotFound.
  static Result<std::unique_ptr<EventLog>> open(const std::string& path, std::string_view lowest);

  // One line. Fields with an empty text, or the id 0, are left out.
  void write(LogLevel level, std::string_view event, LogFields fields);

  // Ok, or why the first line that could not be written was not.
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  EventLog(FileDescriptor file, std::string path, LogLevel lowest)
      : file_(std::move(file)), path_(std::move(path)), lowest_(lowest) {}

  FileDescriptor file_;
  const std::string path_;
  const LogLevel lowest_;
  Status status_;
  bool cut_off_ = false;  // the last line that was begun
};

// A line without its end; pure. `time` as in the example above.
[[nodiscard]] std::string format_event(std::string_view time, LogLevel level,
                                       std::string_view event, LogFields fields);

// Nothing where there is no log.
inline void log_event(EventLog* log, LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  if (log != nullptr) log->write(level, event, LogFields(fields.begin(), fields.size()));
}

}  // namespace cleave::agent
