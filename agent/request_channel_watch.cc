// SPDX-License-Identifier: Apache-2.0
//
// Beside the requests: whether the server is still there, signs of life for it, and the frames that
// are about the connection.
#include <algorithm>
#include <utility>

#include "agent/request_channel.h"

namespace cleave::agent {
namespace {

// However often a server wants to hear of us.
constexpr std::chrono::milliseconds kShortestLook{10};

}  // namespace

asio::awaitable<void> RequestChannel::watch() {
  while (is_open_ && !pending_.empty()) {
    watch_timer_.expires_after(liveness_.period());
    (void)co_await watch_timer_.async_wait(as_result);
    if (is_open_ && !pending_.empty()) look_after_server();
  }
  watching_ = false;
}

void RequestChannel::look_after_server() {
  const auto now = Clock::now();
  liveness_.observe(now, link_.bytes_received(), bytes_acknowledged());
  switch (liveness_.step(now)) {
    case Liveness::Step::kWait:
      return;
    case Liveness::Step::kPing:
      if (std::exchange(ping_waits_, true)) return;  // behind an attachment, which has its bound
      ++state_->counters.pings;
      send_soon(make_ping(next_nonce_++));
      return;
    case Liveness::Step::kGone:
      return drop_silent();
  }
}

void RequestChannel::drop_silent() {
  ++state_->counters.heartbeats_missed;
  close({StatusCode::kUnavailable,
         to_string(options_->server) + ": waiting for the server: it went silent"});
}

asio::awaitable<void> RequestChannel::beat() {
  Heartbeat heartbeat;
  std::uint64_t received_at_ping = UINT64_MAX;  // of the last; none yet
  while (is_open_) {
    beat_timer_.expires_after(
        std::max<Clock::duration>(server_.heartbeat / Heartbeat::kLooksPerInterval, kShortestLook));
    (void)co_await beat_timer_.async_wait(as_result);
    if (!is_open_) break;
    const Heartbeat::Step step =
        heartbeat.look({link_.bytes_sent(), link_.bytes_received(), bytes_acknowledged()});
    if (step == Heartbeat::Step::kGone) drop_silent();
    if (step != Heartbeat::Step::kPing) continue;
    // One that is not answered is enough: that its system takes one more is no sign of the server.
    if (received_at_ping == link_.bytes_received()) continue;
    if (std::exchange(ping_waits_, true)) continue;
    received_at_ping = link_.bytes_received();
    ++state_->counters.heartbeats;
    send_soon(make_ping(next_nonce_++));
  }
}

// Behind the frames that wait for their turn already.
void RequestChannel::send_soon(FrameBytes frame) {
  if (!is_open_) return;
  control_.push_back(std::move(frame));
  if (std::exchange(sending_control_, true)) return;
  spawn(&RequestChannel::send_control);
}

asio::awaitable<void> RequestChannel::send_control() {
  while (is_open_ && !control_.empty()) {
    const bool has_turn = co_await sending_.enter();
    if (!has_turn) break;
    const FrameBytes frame = std::move(control_.front());
    control_.pop_front();
    Gather bytes;
    bytes.add(frame);
    (void)co_await write(bytes, Clock::time_point::max());
    sending_.leave();
    // Whichever it was: what was asked before has been sent by now.
    if (control_.empty() && std::exchange(ping_waits_, false)) {
      liveness_.pinged(Clock::now(), link_.bytes_sent());
    }
  }
  sending_control_ = false;
}

std::uint64_t RequestChannel::bytes_acknowledged() {
  const std::uint64_t sent = link_.bytes_sent();
  return sent - std::min(sent, link_.bytes_unacknowledged());
}

}  // namespace cleave::agent
