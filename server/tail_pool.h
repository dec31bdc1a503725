// SPDX-License-Identifier: Apache-2.0
//
// The threads that compute tails, behind one bounded queue, so that the network thread never waits
// for arithmetic.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/server_options.h"
#include "server/tail_job.h"

namespace cleave::server {

class TailPool {
 public:
  explicit TailPool(const ServerOptions& options);
  ~TailPool();  // abandon()
  TailPool(const TailPool&) = delete;
  TailPool& operator=(const TailPool&) = delete;

  // Starts the workers. Errors: kResourceExhausted (no thread can be had); none then runs.
  Status start();

  // Takes `job` and gives true, or leaves it with the caller and gives false when the queue is full
  // or the pool is stopping. Thread-safe, does not block.
  [[nodiscard]] bool try_submit(std::unique_ptr<TailJob>& job);

  // Takes the job of this ticket out of the queue; null when a worker has it, or had it.
  // Thread-safe, allocates nothing.
  [[nodiscard]] std::unique_ptr<TailJob> withdraw(std::uint64_t ticket);
  // Gives the job of this ticket time until `deadline` at the least (none: as long as it takes), if
  // it is still in the queue. Thread-safe.
  void extend_deadline(std::uint64_t ticket, std::optional<Clock::time_point> deadline);

  // A guess of how long a new request would wait now, for Error.retry_after_ms. Thread-safe.
  [[nodiscard]] std::uint32_t retry_after_ms() const;

  // Finishes what is queued (calling every done) and joins the threads. Idempotent.
  void stop();
  // Drops what is queued without calling its done, and joins once the jobs under way are finished
  // (or dropped too, if nobody could take them).
  void abandon();

 private:
  void work();
  void hand_back(std::unique_ptr<TailJob> job);
  // REQUIRES: mutex_ is held.
  std::deque<std::unique_ptr<TailJob>>::iterator find_queued(std::uint64_t ticket);

  const unsigned workers_;
  const unsigned threads_per_worker_;
  const PictureLimits picture_;
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;  // only idle workers wait: one told is one that takes the job
  std::condition_variable abandoned_signal_;
  std::deque<std::unique_ptr<TailJob>> queue_;  // guarded by mutex_
  bool stopping_ = false;                       // guarded by mutex_
  bool abandoned_ = false;                      // guarded by mutex_
  std::uint64_t recent_compute_ns_ = 0;         // guarded by mutex_; a slow moving average
  std::vector<std::thread> threads_;
};

}  // namespace cleave::server
