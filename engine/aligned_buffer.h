// SPDX-License-Identifier: Apache-2.0
//
// Memory that an executor's boundary tensors can be bound to: aligned, with the slack that the
// kernels may read beyond the last element. They belong to the link, not to the arena, so
// that the next picture can start while the last one is still on the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/executor.h"

namespace cleave {

// Owns `capacity` usable bytes; move-only. An empty buffer has no data.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // data() is null when the memory cannot be had. The slack is zeroed, the rest is not.
  explicit AlignedBuffer(std::size_t capacity_bytes) {
    const std::size_t total = (capacity_bytes + kBufferSlackBytes + kBufferAlignment - 1) /
                              kBufferAlignment * kBufferAlignment;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kBufferAlignment, total)));
    if (data_ == nullptr) return;
    capacity_ = capacity_bytes;
    std::memset(data_.get() + capacity_bytes, 0, total - capacity_bytes);
  }

  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] float* f32() { return reinterpret_cast<float*>(data_.get()); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace cleave
