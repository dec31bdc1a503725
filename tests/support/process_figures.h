// SPDX-License-Identifier: Apache-2.0
//
// What a process holds, by /proc.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace cleave::test {

// Sanitizers hold memory of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif

struct ProcessFigures {
  std::uint64_t rss_bytes = 0;
  std::size_t descriptors = 0;
  std::size_t threads = 0;
};
// Zeros of a process that is not there.
[[nodiscard]] ProcessFigures process_figures(pid_t pid);

}  // namespace cleave::test
