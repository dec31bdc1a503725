// SPDX-License-Identifier: Apache-2.0
//
// A thread for computing, so that the caller's executor goes on sending and receiving meanwhile.
// Work is done one after the other, in the order in which it was given; what is urgent is done
// before what waits. Without a thread of its own everything is done at once by the caller: then
// nothing overlaps, and nothing is taken for it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/net.h"

namespace cleave::agent {

class ComputeThread {
 public:
  enum class Urgency { kInTurn, kFirst };

  explicit ComputeThread(bool own_thread);
  // Work that is under way is finished, what waits is not begun. No caller may be resumed later.
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  // Until `work` is done. What it points to must live so long. Its exceptions are the caller's.
  asio::awaitable<void> run(std::function<void()> work, Urgency urgency = Urgency::kInTurn);

  [[nodiscard]] bool is_own_thread() const { return thread_.joinable(); }

 private:
  struct Job;
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> waiting_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace cleave::agent
