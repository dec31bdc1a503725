// SPDX-License-Identifier: Apache-2.0
//
// One TCP connection to a server, from its handshake to its end, and the requests on it: several at
// a time, matched to their answers by id. A request's frame is written whole before the next
// begins; answers come in any order. When it breaks, everything that waits ends at once, and it
// stays broken: the next is another object.
//
// While a request is pending the server is watched (liveness.h): one that went silent is asked with
// a Ping, and the connection dropped when nothing comes. Where heartbeats were agreed on, the agent
// says something all the time (heartbeat.h), and drops a server that says nothing back.
// Coroutines of its own read, watch and beat; they hold the object until the link is closed, so
// that the owner may leave at any time. What they await without a deadline of their own, the first
// byte of a frame and their turn to send, the watch and the deadline of the frame that is being
// sent end.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/connection_options.h"
#include "agent/handshake.h"
#include "agent/heartbeat.h"
#include "agent/link_state.h"
#include "agent/liveness.h"
#include "agent/pending_requests.h"
#include "agent/server_link.h"
#include "agent/turns.h"
#include "agent/uplink_pacer.h"

namespace cleave::agent {

// One request's bytes; everything pointed to must live until the exchange ends.
struct Outgoing {
  std::uint64_t request_id = 0;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;                             // of Coded
  std::vector<std::span<const std::byte>> attachment;   // sent in order, as one
  Clock::time_point latest = Clock::time_point::max();  // for the answer's last byte
};

struct ServerAnswer {
  std::vector<float> scores;
  ServerTimes times;
  std::uint64_t queued_ns = 0;            // behind other requests, before the first byte out
  std::uint64_t wait_ns = 0;              // first byte out to last byte in
  std::uint64_t frame_bytes_up = 0;       // everything written for this request
  std::uint64_t attachment_bytes_up = 0;  // of it, attachment; also after an error
  // Of requests before it, still on their way when its first byte went out: the link carried them
  // in wait_ns as well.
  std::uint64_t bytes_ahead = 0;
};

class RequestChannel : public std::enable_shared_from_this<RequestChannel> {
 public:
  RequestChannel(asio::any_io_executor executor, std::shared_ptr<const ConnectionOptions> options,
                 std::shared_ptr<LinkState> state);

  // Connects and shakes hands. Once. Errors: as Connection::ensure_ready.
  asio::awaitable<Status> open(Clock::time_point latest);

  // Sends `request` and waits for its answer. Several at a time, up to `max_in_flight`; further
  // ones wait for a place. A request whose time is over is cancelled where the server can do that;
  // where it cannot, or the frame is half sent, the link is closed unless others wait for answers
  // and nothing is half sent. Errors: as Connection::exchange; kInternal (an id that is under way).
  asio::awaitable<Status> exchange(const Outgoing& request, ServerAnswer& answer);

  // Says Goodbye, for at most a second, and closes. Does not fail.
  asio::awaitable<void> end();
  // At once; what waits ends with `why`.
  void close(const Status& why);

  // It did not open, as whoever was there did not prove to be the server.
  [[nodiscard]] bool met_stranger() const { return link_.met_stranger(); }
  // Open, and the server has not said that it ends.
  [[nodiscard]] bool takes_requests() const { return is_open_ && !draining_; }
  [[nodiscard]] const ServerFacts& server() const { return server_; }
  // Why it was closed. REQUIRES: !takes_requests().
  [[nodiscard]] const Status& ended_by() const { return ended_by_; }

 private:
  asio::awaitable<Status> ask(const Outgoing& request, PendingRequest& pending,
                              ServerAnswer& answer);
  asio::awaitable<Status> send(const Outgoing& request, ServerAnswer& answer);
  asio::awaitable<Status> write(Gather& bytes, Clock::time_point latest);
  asio::awaitable<Status> await_pace(std::size_t bytes, Clock::time_point latest, bool begun);
  Status give_up(PendingRequest& pending);
  [[nodiscard]] Status over_time(const char* what) const;
  Status count_opening(const Status& connected, const Status& greeted);
  void count_end(const PendingRequest& pending, const ServerAnswer& answer, const Status& status);
  void begin_reading();
  void begin_waiting();
  void spawn(asio::awaitable<void> (RequestChannel::*coroutine)());
  asio::awaitable<void> read();
  Status take(const fbs::Envelope& envelope);
  Status take_answer(const fbs::Answer& answer);
  Status take_error(const fbs::Error& error);
  asio::awaitable<void> watch();
  void look_after_server();
  asio::awaitable<void> beat();
  // The server is gone.
  void drop_silent();
  void send_soon(FrameBytes frame);
  asio::awaitable<void> send_control();
  void end_if_drained();
  [[nodiscard]] std::uint64_t bytes_acknowledged();

  const asio::any_io_executor executor_;
  const std::shared_ptr<const ConnectionOptions> options_;
  const std::shared_ptr<LinkState> state_;
  ServerLink link_;
  ServerFacts server_;
  UplinkPacer pacer_;
  std::optional<Turns> places_;  // in flight; since the handshake
  Turns sending_;                // a whole frame at a time
  PendingRequests pending_;
  Liveness liveness_;
  asio::steady_timer watch_timer_;
  asio::steady_timer pace_timer_;
  asio::steady_timer beat_timer_;
  std::deque<FrameBytes> control_;  // Pings, Pongs and Cancels that wait for their turn
  std::uint64_t next_nonce_ = 1;
  bool is_open_ = false;
  bool draining_ = false;  // the server ends this connection
  bool reading_ = false;
  bool watching_ = false;
  bool sending_control_ = false;
  bool ping_waits_ = false;  // in control_
  Status ended_by_;
};

}  // namespace cleave::agent
