// SPDX-License-Identifier: Apache-2.0
#include "agent/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "schemas/text_check.h"
#include "schemas/uninterrupted.h"

namespace cleave::agent {
namespace {

constexpr std::size_t kMostLogTextBytes = 1024;
constexpr std::array<std::string_view, 4> kLogLevelNames{"debug", "info", "warn", "error"};

std::optional<LogLevel> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < kLogLevelNames.size(); ++i) {
    if (kLogLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  return {};
}

std::string utc_time() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(
                                now - std::chrono::system_clock::from_time_t(seconds))
                                .count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[48];
  const std::size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  return std::string(text, length) + "." + std::to_string(1000 + milliseconds).substr(1) + "Z";
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
  return std::unique_ptr<EventLog>(new EventLog(std::move(file), path, *level));
}

// A whole line with one call: others may append to the same file.
void EventLog::write(LogLevel level, std::string_view event, LogFields fields) {
  if (level < lowest_) return;
  try {
    const std::string line = format_event(utc_time(), level, event, fields) + "\n";
    const auto written =
        uninterrupted([&] { return ::write(file_.get(), line.data(), line.size()); });
    if (written == static_cast<ssize_t>(line.size()) || !status_.is_ok()) return;
    const char* const what = "the log could not be written";
    status_ = (written < 0 ? os_error(what) : Status(StatusCode::kIo, what)).with_context(path_);
  } catch (const std::exception&) {  // no memory for a line
  }
}

std::string format_event(std::string_view time, LogLevel level, std::string_view event,
                         LogFields fields) {
  nlohmann::ordered_json line{
      {"time", time}, {"level", kLogLevelNames[static_cast<std::size_t>(level)]}, {"event", event}};
  for (const LogField& field : fields) {
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      if (!text->empty()) line[std::string(field.name)] = clean_text(*text, kMostLogTextBytes);
    } else {
      line[std::string(field.name)] = std::get<std::uint64_t>(field.value);
    }
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace cleave::agent
