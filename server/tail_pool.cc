// SPDX-License-Identifier: Apache-2.0
#include "server/tail_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "server/tail_worker.h"

namespace cleave::server {
namespace {

constexpr std::chrono::milliseconds kHandBackPause{10};

}  // namespace

TailPool::TailPool(const ServerOptions& options)
    : workers_(options.workers),
      threads_per_worker_(options.threads),
      picture_(options.picture),
      capacity_(options.queue_capacity) {}

TailPool::~TailPool() { abandon(); }

Status TailPool::start() {
  threads_.reserve(workers_);
  try {
    for (unsigned i = 0; i < workers_; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    abandon();
    return {StatusCode::kResourceExhausted,
            "cannot start " + std::to_string(workers_) + " workers: " + error.what()};
  }
  return Status::ok();
}

bool TailPool::try_submit(std::unique_ptr<TailJob>& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

std::deque<std::unique_ptr<TailJob>>::iterator TailPool::find_queued(std::uint64_t ticket) {
  return std::ranges::find_if(queue_, [ticket](const auto& job) { return job->ticket == ticket; });
}

std::unique_ptr<TailJob> TailPool::withdraw(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  const auto at = find_queued(ticket);
  if (at == queue_.end()) return nullptr;
  std::unique_ptr<TailJob> job = std::move(*at);
  queue_.erase(at);
  return job;
}

void TailPool::extend_deadline(std::uint64_t ticket, std::optional<Clock::time_point> deadline) {
  const std::lock_guard lock(mutex_);
  const auto at = find_queued(ticket);
  if (at == queue_.end() || !(*at)->deadline) return;
  if (!deadline || *deadline > *(*at)->deadline) (*at)->deadline = deadline;
}

std::uint32_t TailPool::retry_after_ms() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t wait_ns = recent_compute_ns_ * (queue_.size() + 1) / workers_;
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

void TailPool::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    queue_.clear();
  }
  abandoned_signal_.notify_all();
  stop();
}

void TailPool::work() {
  TailWorker worker(threads_per_worker_, picture_);
  for (;;) {
    std::unique_ptr<TailJob> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    // Only allocation can throw here; one job's failure must not end the server.
    try {
      worker.compute(*job);
    } catch (const std::exception&) {
      job->fail(fbs::ErrorCode::Internal, "no memory");  // short: needs none itself
    }
    {
      const std::lock_guard lock(mutex_);
      recent_compute_ns_ = recent_compute_ns_ - recent_compute_ns_ / 8 + job->compute_ns / 8;
    }
    hand_back(std::move(job));
  }
}

// The agent's answer is late when there is no memory to hand it over, not lost, and nothing that is
// thrown here may leave the thread.
void TailPool::hand_back(std::unique_ptr<TailJob> job) {
  const auto done = std::move(job->done);
  for (;;) {
    try {
      return done(std::move(job));
    } catch (const std::exception&) {
      std::unique_lock lock(mutex_);
      if (abandoned_signal_.wait_for(lock, kHandBackPause, [this] { return abandoned_; })) {
        job.reset();  // under the lock: the payload pool knows of one thread at a time
        return;
      }
    }
  }
}

}  // namespace cleave::server
