// SPDX-License-Identifier: Apache-2.0
//
// Something that one coroutine waits for, with a deadline, and another says. Everything on one
// executor's thread.
#pragma once

#include "agent/net.h"

namespace cleave::agent {

class Signal {
 public:
  explicit Signal(const asio::any_io_executor& executor) : timer_(executor) {}

  // The waiter goes on, or does not wait when it comes later.
  void set() {
    is_set_ = true;
    timer_.cancel();
  }
  void reset() { is_set_ = false; }
  [[nodiscard]] bool is_set() const { return is_set_; }

  // True: it was set; false: `latest` has passed. One waiter at a time.
  asio::awaitable<bool> wait(Clock::time_point latest = Clock::time_point::max()) {
    while (!is_set_ && Clock::now() < latest) {
      timer_.expires_at(latest);
      (void)co_await timer_.async_wait(as_result);
    }
    co_return is_set_;
  }

 private:
  asio::steady_timer timer_;
  bool is_set_ = false;
};

}  // namespace cleave::agent
