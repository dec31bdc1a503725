// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/sync_policy.h"

#include <charconv>
#include <string_view>

#include "agent/units.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kNsPerHour = 3600 * kNsPerSecond;

}  // namespace

Result<SyncPolicy> parse_sync_policy(const std::string& text) {
  if (text == "always") return SyncPolicy{SyncKind::kAlways, 0};
  if (text == "never") return SyncPolicy{SyncKind::kNever, 0};
  constexpr std::string_view kPrefix = "interval:";
  if (text.starts_with(kPrefix)) {
    const auto interval = parse_duration_ns(text.substr(kPrefix.size()));
    if (interval.is_ok() && *interval >= kNsPerSecond / 1000 && *interval <= kNsPerHour) {
      return SyncPolicy{SyncKind::kInterval, *interval};
    }
  }
  return Status(StatusCode::kInvalidArgument,
                "'" + text +
                    "' is no sync policy; write always, interval:TIME (1ms to 3600s, as in "
                    "interval:1s) or never");
}

std::string to_string(const SyncPolicy& policy) {
  if (policy.kind == SyncKind::kAlways) return "always";
  if (policy.kind == SyncKind::kNever) return "never";
  return "interval:" + std::to_string(policy.interval_ns / 1'000'000) + "ms";
}

Result<WriteBudget> parse_write_budget(const std::string& text) {
  const Status bad(StatusCode::kInvalidArgument,
                   "'" + text + "' is no write budget; write for example 200MB/day or 20MB/hour");
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return bad;
  const auto bytes = parse_bytes(text.substr(0, slash));
  const std::string window = text.substr(slash + 1);
  if (!bytes.is_ok() || *bytes == 0) return bad;
  if (window == "hour") return WriteBudget{*bytes, kNsPerHour};
  if (window == "day") return WriteBudget{*bytes, 24 * kNsPerHour};
  return bad;
}

Result<std::uint64_t> parse_age_ns(const std::string& text) {
  std::uint64_t unit = 0;
  if (text.ends_with('d')) unit = 24 * kNsPerHour;
  if (text.ends_with('h')) unit = kNsPerHour;
  if (text.ends_with('m')) unit = 60 * kNsPerSecond;
  if (unit == 0) return parse_duration_ns(text);
  std::uint64_t count = 0;
  const char* const last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), last, count);
  if (error != std::errc{} || end != last || count > 36'500) {
    return Status(StatusCode::kInvalidArgument,
                  "'" + text + "' is not an age; write for example 30m, 12h or 7d");
  }
  return count * unit;
}

}  // namespace cleave::agent
