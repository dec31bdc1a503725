// SPDX-License-Identifier: Apache-2.0
//
// A bounded number of places, given to coroutines in the order in which they asked: with one place
// a lock. Everything on one executor's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "agent/signal.h"

namespace cleave::agent {

class Turns {
 public:
  explicit Turns(asio::any_io_executor executor, std::size_t places = 1)
      : executor_(std::move(executor)), free_(places) {}

  // True: the caller has a place and must leave() it. False: `latest` passed first, or it is
  // closed.
  asio::awaitable<bool> enter(Clock::time_point latest = Clock::time_point::max()) {
    if (closed_) co_return false;
    if (free_ > 0) {
      --free_;
      co_return true;
    }
    Signal turn(executor_);
    waiting_.push_back(&turn);
    // leave() takes out whom it gives a place, close() everybody.
    const bool told = co_await turn.wait(latest);
    if (!told) std::erase(waiting_, &turn);
    co_return told && !closed_;
  }

  void leave() {
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    waiting_.front()->set();
    waiting_.pop_front();
  }

  // For good: nobody gets a place any more, those who wait are told so.
  void close() {
    closed_ = true;
    for (Signal* turn : waiting_) turn->set();
    waiting_.clear();
  }

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  asio::any_io_executor executor_;
  std::size_t free_;
  bool closed_ = false;
  std::deque<Signal*> waiting_;
};

}  // namespace cleave::agent
