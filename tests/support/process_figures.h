// SPDX-License-Identifier: Apache-2.0
//
// What a process holds, by /proc.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

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

}  // namespace cleave::test
