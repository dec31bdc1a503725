// SPDX-License-Identifier: Apache-2.0
//
// The memory of all requests that the server holds, over all connections, under one budget. Buffers
// are kept for reuse; idle ones count too, and make room when a request needs it. Not thread-safe:
// everything here, and the end of every Payload, belongs to the network thread (or to none, once it
// is over).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/aligned_buffer.h"

namespace cleave::server {

class PayloadPool;

// The buffers of one request; they go back to the pool, which lives as long, when it ends.
// Move-only; empty unless a pool gave it.
class Payload {
 public:
  Payload() = default;
  ~Payload() { release(); }
  Payload(Payload&& other) noexcept = default;
  Payload& operator=(Payload&& other) noexcept;

  // One for each size asked for, of at least that many bytes.
  [[nodiscard]] std::span<AlignedBuffer> buffers() { return buffers_; }
  [[nodiscard]] std::span<const AlignedBuffer> buffers() const { return buffers_; }

 private:
  friend class PayloadPool;
  Payload(std::shared_ptr<PayloadPool> pool, std::vector<AlignedBuffer> buffers)
      : pool_(std::move(pool)), buffers_(std::move(buffers)) {}
  void release();

  std::shared_ptr<PayloadPool> pool_;
  std::vector<AlignedBuffer> buffers_;
};

class PayloadPool : public std::enable_shared_from_this<PayloadPool> {
 public:
  static std::shared_ptr<PayloadPool> create(std::uint64_t budget_bytes);

  // Buffers of these sizes, or nothing (and nothing is held) when the budget or the machine's
  // memory does not allow them now. An idle buffer is used again when at least half of it is
  // needed, so that a small request never holds a large one's memory, and when it leaves room for
  // the other sizes.
  [[nodiscard]] std::optional<Payload> take(std::span<const std::size_t> sizes);

  // Capacity of the buffers that requests hold now, and the most it ever was.
  [[nodiscard]] std::uint64_t held_bytes() const { return held_bytes_; }
  [[nodiscard]] std::uint64_t peak_held_bytes() const { return peak_held_bytes_; }
  // Capacity of those kept for reuse. held + idle never exceeds the budget.
  [[nodiscard]] std::uint64_t idle_bytes() const { return idle_bytes_; }

 private:
  friend class Payload;
  explicit PayloadPool(std::uint64_t budget_bytes);

  [[nodiscard]] std::uint64_t room(std::uint64_t reserved) const;
  AlignedBuffer take_one(std::size_t bytes, std::uint64_t most);
  [[nodiscard]] std::optional<std::size_t> find_idle(std::size_t bytes, std::uint64_t most) const;
  AlignedBuffer remove_idle(std::size_t index);
  void give_back(std::vector<AlignedBuffer> buffers);

  const std::uint64_t budget_bytes_;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t peak_held_bytes_ = 0;
  std::uint64_t idle_bytes_ = 0;
  std::vector<AlignedBuffer> idle_;  // oldest first
};

}  // namespace cleave::server
