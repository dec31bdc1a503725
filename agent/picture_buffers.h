// SPDX-License-Identifier: Apache-2.0
//
// The memory of one picture in work that outlives its computing: what crosses the cut, as the head
// wrote it and as the link sends it. Each picture in work has its own, so that the next can be
// computed while this one is on its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/aligned_buffer.h"

namespace cleave::agent {

struct PictureBuffers {
  std::vector<AlignedBuffer> boundary;
  std::vector<std::size_t> boundary_bytes;  // of each, that this picture has
  AlignedBuffer encoded;
  std::vector<std::uint8_t> pixels;  // at model size

  [[nodiscard]] std::vector<std::span<const std::byte>> tensors() const {
    std::vector<std::span<const std::byte>> tensors;
    for (std::size_t i = 0; i < boundary_bytes.size(); ++i) {
      tensors.emplace_back(boundary[i].data(), boundary_bytes[i]);
    }
    return tensors;
  }

  // What it holds.
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = encoded.capacity() + pixels.capacity();
    for (const AlignedBuffer& each : boundary) sum += each.capacity();
    return sum;
  }
};

}  // namespace cleave::agent
