// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/memory_planner.h"

#include <algorithm>
#include <numeric>

namespace cleave {
namespace {

std::size_t round_up(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) & ~(alignment - 1);
}

bool share_a_step(const BufferRequest& a, const BufferRequest& b) {
  return a.first <= b.last && b.first <= a.last;
}

std::vector<std::size_t> order_by_size(std::span<const BufferRequest> requests) {
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (requests[a].bytes != requests[b].bytes) return requests[a].bytes > requests[b].bytes;
    return requests[a].first < requests[b].first;
  });
  return order;
}

// A buffer that has its place.
struct Placed {
  std::size_t offset = 0;
  std::size_t end = 0;
  const BufferRequest* request = nullptr;
};

// `placed` ascends by offset.
std::size_t best_fit(const std::vector<Placed>& placed, const BufferRequest& request,
                     std::size_t bytes) {
  std::size_t best = 0;
  std::size_t best_gap = SIZE_MAX;
  std::size_t free_from = 0;
  for (const Placed& other : placed) {
    if (!share_a_step(*other.request, request)) continue;
    if (other.offset >= free_from + bytes && other.offset - free_from < best_gap) {
      best = free_from;
      best_gap = other.offset - free_from;
    }
    free_from = std::max(free_from, other.end);
  }
  return best_gap == SIZE_MAX ? free_from : best;
}

}  // namespace

MemoryPlan plan_memory(std::span<const BufferRequest> requests, std::size_t alignment) {
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  std::vector<Placed> placed;
  placed.reserve(requests.size());
  for (const std::size_t index : order_by_size(requests)) {
    const BufferRequest& request = requests[index];
    const std::size_t bytes = round_up(request.bytes, alignment);
    const std::size_t offset = best_fit(placed, request, bytes);
    const Placed entry{offset, offset + bytes, &request};
    const auto after =
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
    placed.insert(after, entry);
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, entry.end);
  }
  return plan;
}

std::size_t live_bytes(std::span<const BufferRequest> requests, std::size_t alignment) {
  std::size_t most = 0;
  // The most is reached at a step where some buffer begins.
  for (const BufferRequest& begins : requests) {
    std::size_t live = 0;
    for (const BufferRequest& request : requests) {
      if (request.first <= begins.first && begins.first <= request.last) {
        live += round_up(request.bytes, alignment);
      }
    }
    most = std::max(most, live);
  }
  return most;
}

std::string draw_plan(std::span<const BufferRequest> requests, const MemoryPlan& plan,
                      std::size_t columns) {
  static constexpr char kLetters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  static constexpr std::size_t kLetterCount = sizeof(kLetters) - 1;
  std::uint32_t first = UINT32_MAX;
  std::uint32_t last = 0;
  for (const BufferRequest& request : requests) {
    first = std::min(first, request.first);
    last = std::max(last, request.last);
  }
  std::string text;
  if (requests.empty() || plan.bytes == 0 || columns == 0) return text;
  for (std::uint32_t step = first; step <= last; ++step) {
    std::string line(columns, '.');
    std::size_t live = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (step < requests[i].first || step > requests[i].last || requests[i].bytes == 0) continue;
      live += requests[i].bytes;
      const std::size_t begin = plan.offsets[i] * columns / plan.bytes;
      const std::size_t end = (plan.offsets[i] + requests[i].bytes) * columns / plan.bytes;
      for (std::size_t column = begin; column < std::max(end, begin + 1); ++column) {
        line[std::min(column, columns - 1)] = kLetters[i % kLetterCount];
      }
    }
    text += line + " step " + std::to_string(step) + ": " + std::to_string(live) + " bytes\n";
  }
  return text;
}

}  // namespace cleave
