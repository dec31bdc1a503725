// SPDX-License-Identifier: Apache-2.0
//
// What the lines of both logs, the server's and the agent's, are made of, so that one can be read
// beside the other: levels, fields, and the time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace cleave {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// "debug", "info", "warn" or "error".
[[nodiscard]] std::string_view level_name(LogLevel level);

// Of all 64 bits, of which many readers of JSON numbers keep 53: a text there. 0: none.
struct LogId {
  std::uint64_t value;
};

// Views: what they look at must outlive the call that writes the line.
struct LogField {
  LogField(std::string_view field, std::uint64_t number) : name(field), value(number) {}
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, LogId id) : name(field), value(id) {}
  std::string_view name;
  std::variant<std::uint64_t, std::string_view, LogId> value;
};
using LogFields = std::span<const LogField>;

// Of a text, which may come from a peer.
inline constexpr std::size_t kMostLogTextBytes = 1024;

// The system's time now, UTC, to the millisecond: 2026-01-31T09:00:00.123Z.
[[nodiscard]] std::string log_time();

}  // namespace cleave
