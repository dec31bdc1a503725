// SPDX-License-Identifier: Apache-2.0
#include "server/tail_pool.h"

#include <algorithm>
#include <utility>

#include "server/tail_worker.h"

namespace cleave::server {

TailPool::TailPool(const ServerOptions& options) : capacity_(options.queue_capacity) {
  threads_.reserve(options.workers);
  for (unsigned i = 0; i < options.workers; ++i) {
    threads_.emplace_back(
        [this, threads = options.threads, limits = options.picture] { work(threads, limits); });
  }
}

TailPool::~TailPool() { stop(); }

bool TailPool::try_submit(std::unique_ptr<TailJob>& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

std::uint32_t TailPool::retry_after_ms() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t wait_ns = recent_compute_ns_ * (queue_.size() + 1) / threads_.size();
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wait_ns / 1'000'000, 10, 60'000));
}

void TailPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void TailPool::work(unsigned threads, const PictureLimits& limits) {
  TailWorker worker(threads, limits);
  for (;;) {
    std::unique_ptr<TailJob> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    worker.compute(*job);
    {
      const std::lock_guard lock(mutex_);
      recent_compute_ns_ = recent_compute_ns_ - recent_compute_ns_ / 8 + job->compute_ns / 8;
    }
    auto done = std::move(job->done);
    done(std::move(job));
  }
}

}  // namespace cleave::server
