// SPDX-License-Identifier: Apache-2.0
//
// A deadline for every await of a session: one timer that closes the socket when reading or writing
// makes no progress in time. Cheaper than racing each operation against a timer of its own.
#pragma once

#include <optional>

#include "server/net.h"

namespace cleave::server {

class Watchdog {
 public:
  explicit Watchdog(tcp::socket& socket) : socket_(socket), timer_(socket.get_executor()) {}

  // Runs until stop() or until a deadline passed, in which case the socket is closed.
  // The socket and this object must outlive it.
  asio::awaitable<void> watch();

  // The reader (writer) must make progress within `timeout` from now.
  void expect_read(Clock::duration timeout) { arm(read_, Clock::now() + timeout); }
  void expect_read_until(Clock::time_point deadline) { arm(read_, deadline); }
  void expect_write_until(Clock::time_point deadline) { arm(write_, deadline); }
  void read_done() { read_.reset(); }
  void write_done() { write_.reset(); }
  void stop();

  [[nodiscard]] bool fired() const { return fired_; }
  // Of fired(): it was the writer that made no progress.
  [[nodiscard]] bool fired_on_write() const { return fired_on_write_; }

 private:
  using Deadline = std::optional<Clock::time_point>;

  void arm(Deadline& deadline, Clock::time_point when);
  [[nodiscard]] Deadline earliest() const;

  tcp::socket& socket_;
  asio::steady_timer timer_;
  Deadline read_;
  Deadline write_;
  Clock::time_point sleeping_until_ = Clock::time_point::max();
  bool stopped_ = false;
  bool fired_ = false;
  bool fired_on_write_ = false;
};

}  // namespace cleave::server
