// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool_clock.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>

namespace cleave::agent {
namespace {

constexpr std::int64_t kClockNsPerSecond = 1'000'000'000;
// A wall clock before 2024 was never set.
constexpr std::int64_t kClockIsSet_ns = 1'704'067'200 * kClockNsPerSecond;

std::int64_t read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * kClockNsPerSecond + time.tv_nsec;
}

// The hex digits of the kernel's UUID; zeros, which match no boot, where there is none.
BootId read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  std::erase(text, '-');
  BootId id{};
  if (text.size() < 2 * id.size()) return id;
  for (std::size_t i = 0; i < id.size(); ++i) {
    std::uint8_t value = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
    id[i] = static_cast<std::byte>(value);
  }
  return id;
}

std::int64_t wall_offset_ns() {
  const char* text = std::getenv("CLEAVE_WALL_CLOCK_OFFSET_S");
  if (text == nullptr) return 0;
  const std::string_view digits(text);
  std::int64_t seconds = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  constexpr std::int64_t kMostSeconds = 4'000'000'000;
  return std::clamp(seconds, -kMostSeconds, kMostSeconds) * kClockNsPerSecond;
}

class SystemTime final : public TimeSource {
 public:
  SystemTime() : boot_id_(read_boot_id()), offset_ns_(wall_offset_ns()) {}

  [[nodiscard]] TimeReading now() override {
    return {.wall_ns = read_clock(CLOCK_REALTIME) + offset_ns_,
            .boot_ns = static_cast<std::uint64_t>(read_clock(CLOCK_BOOTTIME)),
            .boot_id = boot_id_};
  }

 private:
  BootId boot_id_;
  std::int64_t offset_ns_;
};

}  // namespace

TimeSource& system_time() {
  static SystemTime source;
  return source;
}

std::uint64_t elapsed_ns(const TimeReading& before, const TimeReading& now) {
  const bool same_boot = before.boot_id == now.boot_id && now.boot_id != BootId{};
  if (same_boot && now.boot_ns >= before.boot_ns) return now.boot_ns - before.boot_ns;
  std::uint64_t by_wall = 0;
  if (before.wall_ns >= kClockIsSet_ns && now.wall_ns > before.wall_ns) {
    by_wall = static_cast<std::uint64_t>(now.wall_ns - before.wall_ns);
  }
  return std::max(by_wall, now.boot_ns);
}

}  // namespace cleave::agent
