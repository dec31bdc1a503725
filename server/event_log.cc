// SPDX-License-Identifier: Apache-2.0
#include "server/event_log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "schemas/text_check.h"

namespace cleave::server {
namespace {

std::atomic<LogFormat> log_format{LogFormat::kText};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

bool says_nothing(const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) return text->empty();
  if (const auto* id = std::get_if<LogId>(&field.value)) return id->value == 0;
  return field.name == "session" && std::get<std::uint64_t>(field.value) == 0;
}

bool is_plain(std::string_view text) {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == ':' || c == '-' || c == '_' || c == '/' || c == '[' ||
                       c == ']';
    if (!plain) return false;
  }
  return !text.empty();
}

void append_text(std::string& line, std::string_view text) {
  if (is_plain(text)) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : clean_text(text, kMostLogTextBytes)) {
    if (c == '"' || c == '\\') line += '\\';
    line += c;
  }
  line += '"';
}

std::string format_text(std::string_view time, LogLevel level, std::string_view event,
                        LogFields fields, std::uint64_t suppressed) {
  std::string line = "time=" + std::string(time) + " level=" + std::string(level_name(level)) +
                     " event=" + std::string(event);
  for (const LogField& field : fields) {
    if (says_nothing(field)) continue;
    line += ' ';
    line += field.name;
    line += '=';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_text(line, *text);
    } else if (const auto* id = std::get_if<LogId>(&field.value)) {
      line += std::to_string(id->value);
    } else {
      line += std::to_string(std::get<std::uint64_t>(field.value));
    }
  }
  if (suppressed > 0) line += " suppressed=" + std::to_string(suppressed);
  return line;
}

std::string format_json(std::string_view time, LogLevel level, std::string_view event,
                        LogFields fields, std::uint64_t suppressed) {
  nlohmann::ordered_json line{{"time", time}, {"level", level_name(level)}, {"event", event}};
  for (const LogField& field : fields) {
    if (says_nothing(field)) continue;
    auto& value = line[std::string(field.name)];
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      value = clean_text(*text, kMostLogTextBytes);
    } else if (const auto* id = std::get_if<LogId>(&field.value)) {
      value = std::to_string(id->value);
    } else {
      value = std::get<std::uint64_t>(field.value);
    }
  }
  if (suppressed > 0) line["suppressed"] = suppressed;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

LogThrottle::Verdict ask_throttle(std::string_view event) {
  static std::mutex mutex;
  static LogThrottle throttle;
  const std::lock_guard lock(mutex);
  return throttle.ask(event, std::chrono::steady_clock::now());
}

}  // namespace

std::string format_event(LogFormat format, std::string_view time, LogLevel level,
                         std::string_view event, LogFields fields, std::uint64_t suppressed) {
  return format == LogFormat::kJson ? format_json(time, level, event, fields, suppressed)
                                    : format_text(time, level, event, fields, suppressed);
}

LogThrottle::Verdict LogThrottle::ask(std::string_view event, Time now) {
  auto at = windows_.find(event);
  if (at == windows_.end()) at = windows_.emplace(event, Window{.start = now}).first;
  Window& window = at->second;
  if (now - window.start >= std::chrono::seconds(1)) {
    window.start = now;
    window.lines = 0;
  }
  if (window.lines >= kLinesPerSecond) {
    ++window.suppressed;
    return {};
  }
  ++window.lines;
  return {.pass = true, .suppressed = std::exchange(window.suppressed, 0)};
}

void log_event(LogLevel level, std::string_view event, LogFields fields) {
  auto* const logger = spdlog::default_logger_raw();
  if (!logger->should_log(spdlog_level(level))) return;
  try {
    // Whoever asks for debug wants every line.
    const auto verdict =
        level == LogLevel::kDebug ? LogThrottle::Verdict{.pass = true} : ask_throttle(event);
    if (!verdict.pass) return;
    const std::string line =
        format_event(log_format, log_time(), level, event, fields, verdict.suppressed);
    logger->log(spdlog_level(level), spdlog::string_view_t(line));
  } catch (const std::exception&) {  // no memory for a line
  }
}

void log_counters(const ServerStats& stats) {
  std::vector<LogField> fields;
  for (const ServerCounter& counter : kServerCounters) {
    fields.emplace_back(counter.name, stats.*counter.value);
  }
  log_event(LogLevel::kInfo, "counters", fields);
}

void start_log(LogFormat format, const std::string& level) {
  log_format = format;
  auto logger = spdlog::stderr_color_mt("cleave-server");
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::from_str(level == "warn" ? "warning" : level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace cleave::server
