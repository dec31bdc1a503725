// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/thread_pool.h"

#include <string>

namespace cleave::ops {

Result<ThreadPool> ThreadPool::create(unsigned threads) {
  ThreadPool pool;
  if (threads > 1) {
    pool.pool_.reset(pthreadpool_create(threads));
    if (pool.pool_ == nullptr) {
      return Status{StatusCode::kResourceExhausted,
                    "cannot start " + std::to_string(threads) + " threads"};
    }
  }
  return pool;
}

void ThreadPool::rest() const {
  if (pool_ == nullptr) return;
  pthreadpool_parallelize_1d(
      pool_.get(), [](void*, std::size_t) {}, nullptr, pthreadpool_get_threads_count(pool_.get()),
      PTHREADPOOL_FLAG_YIELD_WORKERS);
}

}  // namespace cleave::ops
