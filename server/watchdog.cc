// SPDX-License-Identifier: Apache-2.0
#include "server/watchdog.h"

#include <algorithm>

namespace cleave::server {

asio::awaitable<void> Watchdog::watch() {
  while (!stopped_) {
    const Deadline next = earliest();
    if (next && Clock::now() >= *next) {
      fired_ = true;
      fired_on_write_ = write_ == next;
      error_code ignored;
      socket_.close(ignored);
      co_return;
    }
    sleeping_until_ = next.value_or(Clock::time_point::max());
    timer_.expires_at(sleeping_until_);
    co_await timer_.async_wait(as_result);
  }
}

void Watchdog::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Watchdog::arm(Deadline& deadline, Clock::time_point when) {
  deadline = when;
  // A later deadline is noticed when the timer ends; only an earlier one must wake it.
  if (*deadline < sleeping_until_) timer_.cancel();
}

Watchdog::Deadline Watchdog::earliest() const {
  if (read_ && write_) return std::min(*read_, *write_);
  return read_ ? read_ : write_;
}

}  // namespace cleave::server
