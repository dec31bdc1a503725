// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/thread_pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <string>

namespace cleave::ops {
namespace {

pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// Each thread notes its id and waits for all others, so that none takes two pieces.
struct RollCall {
  std::vector<pid_t> ids;
  std::atomic<std::size_t> present{0};
};

}  // namespace

Result<ThreadPool> ThreadPool::create(unsigned threads) {
  ThreadPool pool;
  if (threads > 1) {
    pool.pool_.reset(pthreadpool_create(threads));
    if (pool.pool_ == nullptr) {
      return Status{StatusCode::kResourceExhausted,
                    "cannot start " + std::to_string(threads) + " threads"};
    }
    pool.find_workers();
  }
  return pool;
}

void ThreadPool::find_workers() {
  CPU_ZERO(&allowed_);
  if (::sched_getaffinity(0, sizeof(allowed_), &allowed_) != 0) return;
  if (CPU_COUNT(&allowed_) < 2) return;
  const std::size_t threads = pthreadpool_get_threads_count(pool_.get());
  RollCall roll_call;
  roll_call.ids.resize(threads);
  pthreadpool_parallelize_1d(
      pool_.get(),
      [](void* context, std::size_t piece) {
        RollCall& all = *static_cast<RollCall*>(context);
        all.ids[piece] = thread_id();
        all.present.fetch_add(1);
        while (all.present.load() < all.ids.size()) ::sched_yield();
      },
      &roll_call, threads, PTHREADPOOL_FLAG_YIELD_WORKERS);
  for (const pid_t id : roll_call.ids) {
    if (id != thread_id()) workers_.push_back(id);
  }
}

void ThreadPool::spread() {
  if (workers_.empty()) return;
  const int cpu = ::sched_getcpu();
  if (cpu < 0 || cpu == caller_cpu_) return;
  caller_cpu_ = cpu;
  cpu_set_t others = allowed_;
  CPU_CLR(static_cast<std::size_t>(cpu), &others);
  if (CPU_COUNT(&others) == 0) return;
  for (const pid_t worker : workers_) (void)::sched_setaffinity(worker, sizeof(others), &others);
}

void ThreadPool::rest() const {
  if (pool_ == nullptr) return;
  pthreadpool_parallelize_1d(
      pool_.get(), [](void*, std::size_t) {}, nullptr, pthreadpool_get_threads_count(pool_.get()),
      PTHREADPOOL_FLAG_YIELD_WORKERS);
}

}  // namespace cleave::ops
