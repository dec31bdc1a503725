// SPDX-License-Identifier: Apache-2.0
#include "agent/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "schemas/text_check.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

std::optional<LogLevel> parse_level(std::string_view name) {
  for (const auto level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (level_name(level) == name) return level;
  }
  return {};
}

// Of a file that has been there: its last writer was cut off, by a full disk or a power cut.
bool ends_in_half_a_line(const std::string& path) {
  const FileDescriptor file(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  struct stat there {};
  char last = '\n';
  return file.is_open() && ::fstat(file.get(), &there) == 0 && S_ISREG(there.st_mode) &&
         there.st_size > 0 &&
         uninterrupted([&] { return ::pread(file.get(), &last, 1, there.st_size - 1); }) == 1 &&
         last != '\n';
}

}  // namespace

Result<std::unique_ptr<EventLog>> EventLog::open(const std::string& path, std::string_view lowest) {
  const auto level = parse_level(lowest);
  if (!level) {
    return Status(StatusCode::kInvalidArgument, "--log-level: debug, info, warn or error");
  }
  FileDescriptor file(uninterrupted([&] {
    return path == "-" ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
                       : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  }));
  if (!file.is_open()) return os_error("cannot open the log").with_context(path);
  std::unique_ptr<EventLog> log(new EventLog(std::move(file), path, *level));
  log->cut_off_ = path != "-" && ends_in_half_a_line(path);
  return log;
}

// A whole line with one call: others may append to the same file. One that was cut off, as on a
// disk without room, does not take the next with it.
void EventLog::write(LogLevel level, std::string_view event, LogFields fields) {
  if (level < lowest_) return;
  try {
    std::string line = format_event(log_time(), level, event, fields) + "\n";
    if (cut_off_) line.insert(line.begin(), '\n');
    const auto written =
        uninterrupted([&] { return ::write(file_.get(), line.data(), line.size()); });
    const bool is_whole = written == static_cast<ssize_t>(line.size());
    if (written > 0) cut_off_ = !is_whole;
    if (is_whole || !status_.is_ok()) return;
    const char* const what = "the log could not be written";
    status_ = (written < 0 ? os_error(what) : Status(StatusCode::kIo, what)).with_context(path_);
  } catch (const std::exception&) {  // no memory for a line
  }
}

std::string format_event(std::string_view time, LogLevel level, std::string_view event,
                         LogFields fields) {
  nlohmann::ordered_json line{{"time", time}, {"level", level_name(level)}, {"event", event}};
  for (const LogField& field : fields) {
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      if (!text->empty()) line[std::string(field.name)] = clean_text(*text, kMostLogTextBytes);
    } else if (const auto* id = std::get_if<LogId>(&field.value)) {
      if (id->value != 0) line[std::string(field.name)] = std::to_string(id->value);
    } else {
      line[std::string(field.name)] = std::get<std::uint64_t>(field.value);
    }
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace cleave::agent
