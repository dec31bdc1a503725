// SPDX-License-Identifier: Apache-2.0
#include "agent/compute_thread.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <utility>

#include "agent/signal.h"

namespace cleave::agent {

struct ComputeThread::Job {
  Job(const asio::any_io_executor& callers, std::function<void()> to_do)
      : executor(callers), work(std::move(to_do)), done(callers) {}
  asio::any_io_executor executor;
  std::function<void()> work;
  std::exception_ptr failure;  // written before `done` is set
  Signal done;                 // the caller's executor's alone
};

ComputeThread::ComputeThread(bool own_thread) {
  if (own_thread) thread_ = std::thread([this] { serve(); });
}

ComputeThread::~ComputeThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waiting_.clear();
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

asio::awaitable<void> ComputeThread::run(std::function<void()> work, Urgency urgency) {
  if (!is_own_thread()) {
    work();
    co_return;
  }
  const auto job = std::make_shared<Job>(co_await asio::this_coro::executor, std::move(work));
  {
    const std::lock_guard lock(mutex_);
    if (urgency == Urgency::kFirst) {
      waiting_.push_front(job);
    } else {
      waiting_.push_back(job);
    }
  }
  changed_.notify_one();
  // That it waits keeps the executor's loop running.
  (void)co_await job->done.wait();
  if (job->failure != nullptr) std::rethrow_exception(job->failure);
}

void ComputeThread::serve() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (ending_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      job->work();
    } catch (...) {
      job->failure = std::current_exception();
    }
    const asio::any_io_executor executor = job->executor;
    // The caller's thread takes the last reference along: the signal's timer is its own.
    asio::post(executor, [job = std::move(job)] { job->done.set(); });
  }
}

}  // namespace cleave::agent
