// SPDX-License-Identifier: Apache-2.0
//
// What every fuzz target does: takes bytes at an alignment that the parsers ask for, and stops the
// process when a promise does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "schemas/status.h"

namespace cleave::fuzz {

inline void require(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Hostile bytes are corrupt, unsupported or out of range, never our own mistake; with a message.
inline void require_clean_error(const Status& status) {
  const StatusCode code = status.code();
  require(code == StatusCode::kCorrupt || code == StatusCode::kUnsupported ||
              code == StatusCode::kOutOfRange || code == StatusCode::kMismatch,
          "hostile bytes give the error of hostile bytes");
  require(!status.message().empty(), "an error has a message");
}

inline std::vector<std::byte> aligned_copy(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> copy(size);
  if (size > 0) std::memcpy(copy.data(), data, size);
  return copy;
}

}  // namespace cleave::fuzz
