// SPDX-License-Identifier: Apache-2.0
//
// zlib's CRC-32 over spans.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace cleave::agent {

// The CRC-32 (of ISO 3309, zlib's) of what `so_far` was of, followed by `bytes`; 0 begins one.
[[nodiscard]] inline std::uint32_t crc32_of(std::span<const std::byte> bytes,
                                            std::uint32_t so_far = 0) {
  // Of a null pointer zlib makes a fresh start.
  if (bytes.empty()) return so_far;
  return static_cast<std::uint32_t>(
      ::crc32_z(so_far, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace cleave::agent
