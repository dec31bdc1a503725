// SPDX-License-Identifier: Apache-2.0
#include "server/payload_pool.h"

#include <algorithm>
#include <utility>

namespace cleave::server {
namespace {

// Enough for every worker and what waits behind it; a search through them stays short.
constexpr std::size_t kMostIdle = 64;

}  // namespace

Payload& Payload::operator=(Payload&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = std::move(other.pool_);
  buffers_ = std::move(other.buffers_);
  return *this;
}

void Payload::release() {
  if (pool_ == nullptr) return;
  pool_->give_back(std::move(buffers_));
  pool_.reset();
}

// Giving back must not need memory: it happens in destructors.
PayloadPool::PayloadPool(std::uint64_t budget_bytes) : budget_bytes_(budget_bytes) {
  idle_.reserve(kMostIdle);
}

std::shared_ptr<PayloadPool> PayloadPool::create(std::uint64_t budget_bytes) {
  return std::shared_ptr<PayloadPool>(new PayloadPool(budget_bytes));
}

std::optional<Payload> PayloadPool::take(std::span<const std::size_t> sizes) {
  // What the later buffers need is spoken for: a larger idle buffer must not take it.
  std::uint64_t reserved = 0;
  for (const std::size_t bytes : sizes) {
    if (bytes > room(reserved)) return std::nullopt;
    reserved += bytes;
  }
  std::vector<AlignedBuffer> buffers;
  buffers.reserve(sizes.size());
  for (const std::size_t bytes : sizes) {
    reserved -= bytes;
    AlignedBuffer buffer = take_one(bytes, room(reserved));
    if (buffer.data() == nullptr) {
      give_back(std::move(buffers));
      return std::nullopt;
    }
    held_bytes_ += buffer.capacity();
    buffers.push_back(std::move(buffer));
  }
  peak_held_bytes_ = std::max(peak_held_bytes_, held_bytes_);
  return Payload(shared_from_this(), std::move(buffers));
}

// Held memory and `reserved` are within the budget.
std::uint64_t PayloadPool::room(std::uint64_t reserved) const {
  return budget_bytes_ - held_bytes_ - reserved;
}

// Without data when there is no memory. REQUIRES: bytes <= most <= room(0).
AlignedBuffer PayloadPool::take_one(std::size_t bytes, std::uint64_t most) {
  if (const auto index = find_idle(bytes, most)) return remove_idle(*index);
  while (idle_bytes_ > room(bytes)) (void)remove_idle(0);
  return AlignedBuffer(bytes);
}

std::optional<std::size_t> PayloadPool::find_idle(std::size_t bytes, std::uint64_t most) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    const std::size_t capacity = idle_[i].capacity();
    if (capacity < bytes || capacity > most || capacity / 2 > bytes) continue;
    if (!best || capacity < idle_[*best].capacity()) best = i;
  }
  return best;
}

AlignedBuffer PayloadPool::remove_idle(std::size_t index) {
  AlignedBuffer buffer = std::move(idle_[index]);
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(index));
  idle_bytes_ -= buffer.capacity();
  return buffer;
}

void PayloadPool::give_back(std::vector<AlignedBuffer> buffers) {
  for (AlignedBuffer& buffer : buffers) {
    held_bytes_ -= buffer.capacity();
    if (idle_.size() >= kMostIdle) (void)remove_idle(0);
    idle_bytes_ += buffer.capacity();
    idle_.push_back(std::move(buffer));
  }
}

}  // namespace cleave::server
