// SPDX-License-Identifier: Apache-2.0
//
// Memory that an executor's boundary tensors can be bound to: aligned, with the slack that the
// kernels may read beyond the last element. Connections pool these buffers, so that the next
// picture can start while the last one is still on the wire (decision 15 of the design).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

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

// A few buffers kept for reuse, largest need first served. Not thread-safe: one owner.
class BufferPool {
 public:
  explicit BufferPool(std::size_t max_idle) : max_idle_(max_idle) { idle_.reserve(max_idle); }

  // A buffer of at least `bytes`: the smallest idle one that fits, else a new one.
  [[nodiscard]] AlignedBuffer take(std::size_t bytes) {
    std::size_t best = idle_.size();
    for (std::size_t i = 0; i < idle_.size(); ++i) {
      if (idle_[i].capacity() < bytes) continue;
      if (best == idle_.size() || idle_[i].capacity() < idle_[best].capacity()) best = i;
    }
    if (best == idle_.size()) return AlignedBuffer(bytes);
    AlignedBuffer buffer = std::move(idle_[best]);
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(best));
    return buffer;
  }

  // Keeps `buffer` for the next take(), or frees it when enough are idle.
  void give_back(AlignedBuffer buffer) {
    if (buffer.data() != nullptr && idle_.size() < max_idle_) idle_.push_back(std::move(buffer));
  }

 private:
  std::size_t max_idle_;
  std::vector<AlignedBuffer> idle_;
};

}  // namespace cleave
