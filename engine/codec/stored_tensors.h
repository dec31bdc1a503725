// SPDX-License-Identifier: Apache-2.0
//
// Tensors as they are, one behind the other: a codec of its own, and what others fall back to.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "engine/codec/codec_factories.h"

namespace cleave::codec {

[[nodiscard]] inline std::size_t bytes_of(const Boundary& boundary) {
  std::size_t bytes = 0;
  for (const BoundaryTensor& tensor : boundary) bytes += tensor.bytes();
  return bytes;
}

// Gives the bytes written. REQUIRES: `out` has room for all.
[[nodiscard]] inline std::size_t store_tensors(std::span<const std::span<const std::byte>> tensors,
                                               std::span<std::byte> out) {
  std::size_t written = 0;
  for (const std::span<const std::byte> tensor : tensors) {
    std::memcpy(out.data() + written, tensor.data(), tensor.size());
    written += tensor.size();
  }
  return written;
}

// Errors: kCorrupt (not as many bytes as the tensors have).
[[nodiscard]] inline Status load_tensors(std::span<const std::byte> bytes,
                                         std::span<const std::span<std::byte>> tensors) {
  std::size_t wanted = 0;
  for (const std::span<std::byte> tensor : tensors) wanted += tensor.size();
  if (bytes.size() != wanted) return {StatusCode::kCorrupt, "not as long as the tensors"};
  for (const std::span<std::byte> tensor : tensors) {
    std::memcpy(tensor.data(), bytes.data(), tensor.size());
    bytes = bytes.subspan(tensor.size());
  }
  return Status::ok();
}

}  // namespace cleave::codec
