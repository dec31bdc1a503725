// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/counting_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace cleave {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::atomic<std::uint64_t> bytes_now{0};
std::atomic<std::uint64_t> peak_bytes{0};
std::atomic<std::uint64_t> allocations{0};

// Stands in the kAlignment bytes before a block.
struct Header {
  std::size_t bytes;
};
static_assert(sizeof(Header) <= kAlignment);

Header* header_of(void* memory) {
  return reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - kAlignment);
}

// Weights are streamed through once a picture; with small pages a quarter of that time goes into
// finding them. Only whole huge pages inside the block are asked for, so that it grows no larger.
void* allocate_aligned(std::size_t bytes) {
  if (bytes < 2 * kHugePage) return std::aligned_alloc(kAlignment, bytes);
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* block = std::aligned_alloc(kHugePage, rounded);
  if (block != nullptr) {
    // A kernel without huge pages refuses; nothing is lost.
    [[maybe_unused]] const int ignored =
        madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  }
  return block;
}

void count(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t live = bytes_now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::uint64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (peak < live && !peak_bytes.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
}

}  // namespace

AllocationCounts allocation_counts() {
  return {.live_bytes = bytes_now.load(std::memory_order_relaxed),
          .peak_bytes = peak_bytes.load(std::memory_order_relaxed),
          .allocations = allocations.load(std::memory_order_relaxed)};
}

void* counted_allocate(std::size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage) return nullptr;
  const std::size_t total = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
  void* block = allocate_aligned(total);
  if (block == nullptr) return nullptr;
  static_cast<Header*>(block)->bytes = bytes;
  count(bytes);
  return static_cast<std::byte*>(block) + kAlignment;
}

void* counted_reallocate(void* memory, std::size_t bytes) {
  if (memory == nullptr) return counted_allocate(bytes);
  void* grown = counted_allocate(bytes);
  if (grown == nullptr) return nullptr;
  std::memcpy(grown, memory, std::min(bytes, header_of(memory)->bytes));
  counted_free(memory);
  return grown;
}

void counted_free(void* memory) {
  if (memory == nullptr) return;
  Header* header = header_of(memory);
  bytes_now.fetch_sub(header->bytes, std::memory_order_relaxed);
  std::free(header);
}

}  // namespace cleave
