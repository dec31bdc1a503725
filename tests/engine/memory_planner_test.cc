// SPDX-License-Identifier: Apache-2.0
#include "engine/memory/memory_planner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace cleave {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t rounded(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::size_t sum_of(const std::vector<BufferRequest>& requests) {
  std::size_t sum = 0;
  for (const BufferRequest& request : requests) sum += rounded(request.bytes);
  return sum;
}

// The most that lives at one step, counted step by step.
std::size_t most_live(const std::vector<BufferRequest>& requests) {
  std::size_t most = 0;
  for (std::uint32_t step = 0; step < 64; ++step) {
    std::size_t live = 0;
    for (const BufferRequest& r : requests) {
      if (r.first <= step && step <= r.last) live += rounded(r.bytes);
    }
    most = std::max(most, live);
  }
  return most;
}

bool overlap_in_time_and_space(const std::vector<BufferRequest>& requests, const MemoryPlan& plan,
                               std::size_t a, std::size_t b) {
  const bool in_time =
      requests[a].first <= requests[b].last && requests[b].first <= requests[a].last;
  const bool in_space = plan.offsets[a] < plan.offsets[b] + requests[b].bytes &&
                        plan.offsets[b] < plan.offsets[a] + requests[a].bytes;
  return in_time && in_space;
}

// A graph's tensors: each is written at one step and read until a later one.
std::vector<BufferRequest> random_requests(std::mt19937& random) {
  std::vector<BufferRequest> requests(1 + random() % 60);
  for (BufferRequest& request : requests) {
    request.bytes = random() % 8 == 0 ? random() % 100000 : random() % 3000;
    request.first = static_cast<std::uint32_t>(random() % 40);
    // Most live for a step or two; some are skip connections.
    const bool skips = random() % 5 == 0;
    request.last = request.first + static_cast<std::uint32_t>(random() % (skips ? 20 : 3));
  }
  return requests;
}

}  // namespace

TEST_CASE("no two live buffers overlap, and the arena is between its bounds") {
  std::mt19937 random(42);
  std::size_t total = 0;
  std::size_t bound = 0;
  for (int round = 0; round < 500; ++round) {
    const std::vector<BufferRequest> requests = random_requests(random);
    const MemoryPlan plan = plan_memory(requests, kAlignment);
    REQUIRE(plan.offsets.size() == requests.size());
    for (std::size_t a = 0; a < requests.size(); ++a) {
      REQUIRE(plan.offsets[a] % kAlignment == 0);
      REQUIRE(plan.offsets[a] + requests[a].bytes <= plan.bytes);
      for (std::size_t b = 0; b < a; ++b) {
        REQUIRE_FALSE(overlap_in_time_and_space(requests, plan, a, b));
      }
    }
    CHECK(plan.bytes <= sum_of(requests));
    CHECK(plan.bytes >= most_live(requests));
    CHECK(live_bytes(requests, kAlignment) == most_live(requests));
    total += plan.bytes;
    bound += most_live(requests);
  }
  // Greedy is not always the least, but on the whole it must be close.
  CHECK(static_cast<double>(total) < 1.05 * static_cast<double>(bound));
}

TEST_CASE("a chain of equal tensors needs two places") {
  std::vector<BufferRequest> chain;
  for (std::uint32_t i = 0; i < 10; ++i)
    chain.push_back({.bytes = 1024, .first = i, .last = i + 1});
  CHECK(plan_memory(chain, kAlignment).bytes == 2048);
}

TEST_CASE("a small buffer goes into the smallest gap that holds it") {
  // Two large ones leave a gap of 64 and one of 128 at the step of the small one.
  const std::vector<BufferRequest> requests{
      {.bytes = 1024, .first = 0, .last = 5},  // at 0
      {.bytes = 512, .first = 0, .last = 2},   // at 1024
      {.bytes = 448, .first = 0, .last = 5},   // at 1536
      {.bytes = 64, .first = 4, .last = 5},    // into the 512 that are free again
      {.bytes = 384, .first = 3, .last = 5}};  // into the same gap
  const MemoryPlan plan = plan_memory(requests, kAlignment);
  CHECK(plan.bytes == 1984);
  CHECK(plan.offsets[4] == 1024);
  CHECK(plan.offsets[3] == 1408);
}

TEST_CASE("nothing to plan") {
  CHECK(plan_memory({}, kAlignment).bytes == 0);
  CHECK(live_bytes({}, kAlignment) == 0);
  CHECK(draw_plan({}, {}, 40).empty());
}

TEST_CASE("the plan is the same each time, whatever stands beside it") {
  std::mt19937 random(7);
  const std::vector<BufferRequest> requests = random_requests(random);
  CHECK(plan_memory(requests, kAlignment).offsets == plan_memory(requests, kAlignment).offsets);
}

TEST_CASE("the drawing shows a letter per buffer while it lives") {
  const std::vector<BufferRequest> requests{{.bytes = 128, .first = 0, .last = 1},
                                            {.bytes = 64, .first = 1, .last = 2}};
  const MemoryPlan plan = plan_memory(requests, kAlignment);
  CHECK(draw_plan(requests, plan, 6) ==
        "AAAA.. step 0: 128 bytes\n"
        "AAAABB step 1: 192 bytes\n"
        "....BB step 2: 64 bytes\n");
}

}  // namespace cleave
