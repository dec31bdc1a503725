// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/thread_pool.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

namespace cleave::ops {
namespace {

// CPUs that each thread of this process but this one may use.
std::vector<cpu_set_t> masks_of_others() {
  std::vector<cpu_set_t> masks;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const pid_t id = std::stoi(entry.path().filename().string());
    cpu_set_t mask;
    if (id != ::gettid() && ::sched_getaffinity(id, sizeof(mask), &mask) == 0) {
      masks.push_back(mask);
    }
  }
  return masks;
}

}  // namespace

TEST_CASE("workers may use every CPU of the process but the caller's") {
  cpu_set_t allowed;
  REQUIRE(::sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  if (CPU_COUNT(&allowed) < 2) {
    MESSAGE("skipped: one CPU");
    return;
  }
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.is_ok());
  for (const cpu_set_t& mask : masks_of_others()) CHECK(CPU_EQUAL(&mask, &allowed));
  pool->spread();
  cpu_set_t workers;
  CPU_ZERO(&workers);
  std::size_t kept_off = 0;  // a sanitizer has a thread of its own besides
  for (const cpu_set_t& mask : masks_of_others()) {
    if (CPU_EQUAL(&mask, &allowed)) continue;
    CHECK(CPU_COUNT(&mask) == CPU_COUNT(&allowed) - 1);
    if (kept_off++ == 0) workers = mask;
    CHECK(CPU_EQUAL(&mask, &workers));
  }
  CHECK(kept_off == 2);
  // The caller's own are as they were.
  cpu_set_t own;
  REQUIRE(::sched_getaffinity(0, sizeof(own), &own) == 0);
  CHECK(CPU_EQUAL(&own, &allowed));
}

TEST_CASE("a pool of any size does all of its work, before and after a rest") {
  for (const unsigned threads : {1U, 2U, 3U, 9U}) {
    CAPTURE(threads);
    auto pool = ThreadPool::create(threads);
    REQUIRE(pool.is_ok());
    std::atomic<std::size_t> sum{0};
    for (int run = 0; run < 3; ++run) {
      pool->spread();
      pthreadpool_parallelize_1d(
          pool->handle(),
          [](void* context, std::size_t i) {
            static_cast<std::atomic<std::size_t>*>(context)->fetch_add(i);
          },
          &sum, 100, 0);
      pool->rest();
    }
    CHECK(sum == 3 * 4950);
  }
}

}  // namespace cleave::ops
