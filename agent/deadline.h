// SPDX-License-Identifier: Apache-2.0
//
// The deadline of the await that is under way on a socket: when it passes, the socket is closed and
// the await ends with an error. A connection has one operation of each direction under way at a
// time, so one of these serves all of a direction.
#pragma once

#include <memory>

#include "agent/net.h"

namespace cleave::agent {

class Deadline {
 public:
  // The socket must outlive it.
  explicit Deadline(tcp::socket& socket)
      : timer_(socket.get_executor()), state_(std::make_shared<State>(State{.socket = socket})) {}
  ~Deadline() { disarm(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Starts (or moves) the deadline.
  void arm(Clock::time_point when) {
    timer_.expires_at(when);
    // A wait that ended before it could be cancelled belongs to an operation that is over, and may
    // be heard of after this object has ended.
    timer_.async_wait([state = state_, serial = ++state_->serial](const error_code& error) {
      if (error || serial != state->serial) return;
      state->passed = true;
      error_code ignored;
      state->socket.close(ignored);
    });
  }
  void arm(Clock::duration from_now) { arm(Clock::now() + from_now); }

  void disarm() {
    ++state_->serial;
    timer_.cancel();
  }

  [[nodiscard]] bool passed() const { return state_->passed; }
  void reset() {
    disarm();
    state_->passed = false;
  }

 private:
  struct State {
    tcp::socket& socket;
    std::uint64_t serial = 0;
    bool passed = false;
  };

  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

}  // namespace cleave::agent
