// SPDX-License-Identifier: Apache-2.0
//
// The deadline of the await that is under way on a socket: when it passes, the socket is closed and
// the await ends with an error. A connection has one operation of each direction under way at a
// time, so one of these serves all of a direction.
#pragma once

#include "agent/net.h"

namespace cleave::agent {

class Deadline {
 public:
  explicit Deadline(tcp::socket& socket) : socket_(socket), timer_(socket.get_executor()) {}

  // Starts (or moves) the deadline. The socket and this object must outlive disarm().
  void arm(Clock::time_point when) {
    timer_.expires_at(when);
    timer_.async_wait([this, serial = ++serial_](const error_code& error) {
      // A wait that ended before it could be cancelled belongs to an operation that is over.
      if (error || serial != serial_) return;
      passed_ = true;
      error_code ignored;
      socket_.close(ignored);
    });
  }
  void arm(Clock::duration from_now) { arm(Clock::now() + from_now); }

  void disarm() {
    ++serial_;
    timer_.cancel();
  }

  [[nodiscard]] bool passed() const { return passed_; }
  void reset() {
    disarm();
    passed_ = false;
  }

 private:
  tcp::socket& socket_;
  asio::steady_timer timer_;
  std::uint64_t serial_ = 0;
  bool passed_ = false;
};

}  // namespace cleave::agent
