// SPDX-License-Identifier: Apache-2.0
//
// What a process holds, by /proc.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/sanitized.h"

namespace cleave::test {

// Sanitizers hold memory of their own.
inline constexpr bool kInstrumented = kSanitized;

struct ProcessFigures {
  std::uint64_t rss_bytes = 0;
  std::size_t descriptors = 0;
  std::size_t threads = 0;
};
// Zeros of a process that is not there.
[[nodiscard]] ProcessFigures process_figures(pid_t pid);

// No bound for memory: of instrumented programs.
inline constexpr std::uint64_t kAnyRss = UINT64_MAX;

// What `who` holds more of than it did, each in a line: any descriptor or thread, and memory beyond
// `rss_room_bytes`. Empty: it is back where it was.
[[nodiscard]] std::vector<std::string> what_grew(const std::string& who,
                                                 const ProcessFigures& before,
                                                 const ProcessFigures& after,
                                                 std::uint64_t rss_room_bytes);

// The figures once nothing has grown any more, or those at `limit`.
[[nodiscard]] ProcessFigures await_figures(pid_t pid, const ProcessFigures& before,
                                           std::uint64_t rss_room_bytes,
                                           std::chrono::seconds limit = std::chrono::seconds(5));

}  // namespace cleave::test
