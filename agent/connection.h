// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of a session with one server: connects when needed, shakes hands, and exchanges
// requests for answers, several at a time (request_channel.h). Every await has a deadline; errors
// are values.
//
// When the connection is closed and the next call makes another:
//   - after every error of the link or of what it carried, at a BadRequest and at every other error
//     after which the server closes, and when a request's time ran out while its bytes were on
//     their way: they all end what else is under way with kUnavailable;
//   - when a request's time ran out, its bytes were sent, the server cannot cancel, and nothing
//     else is under way;
//   - not after Busy, BadPicture or a server's DeadlineExceeded: they answer one request, and the
//     next goes over the same connection;
//   - after what is under way, when the server has said Goodbye.
// The first break since an answer is mended at once; after another, the backoff holds until a
// server answers again. Between its first exchange and close() the connection is read all the time:
// a server's Ping is answered, and its end noticed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/backoff.h"
#include "agent/connection_options.h"
#include "agent/link_state.h"
#include "agent/net.h"
#include "agent/request_channel.h"
#include "agent/turns.h"
#include "schemas/profile_reader.h"

namespace cleave::agent {

// May go at any time while nobody waits for it.
class Connection {
 public:
  Connection(asio::any_io_executor executor, const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Ready to send: connects and shakes hands if there is no connection; callers that come meanwhile
  // wait for the same. Errors: kUnavailable (no server, it is too early to try again, or the server
  // asked for a pause that is not over: it is then offered nothing, see quiet_until(); or whoever
  // is there does not prove to be the server, see stranger()), kMismatch (the server holds another
  // model, speaks another protocol or does not trust the device; trying again is pointless),
  // kCorrupt, kDeadlineExceeded.
  asio::awaitable<Status> ensure_ready(Clock::time_point latest = Clock::time_point::max());

  // Sends `request` and waits for its answer into `answer`, until request.latest whatever is under
  // way by then. May be called while other exchanges are under way, with ids of their own; those
  // that are more than options or server allow wait. Errors: as above; kResourceExhausted when the
  // server is busy, kInvalidArgument when it refuses the request (its words).
  asio::awaitable<Status> exchange(const Outgoing& request, ServerAnswer& answer);

  // Says Goodbye (for at most a second) and closes; what is under way ends. Does not fail.
  asio::awaitable<void> close();

  [[nodiscard]] bool is_open() const { return channel_ != nullptr && channel_->takes_requests(); }
  // Of the last handshake.
  [[nodiscard]] const std::optional<ProfileData>& server_profile() const { return server_.profile; }
  [[nodiscard]] std::uint64_t rtt_ns() const { return server_.rtt_ns; }
  // How many have succeeded; rtt_ns() is a new measurement when this has changed.
  [[nodiscard]] std::uint64_t handshakes() const { return handshakes_; }
  // Largest file the server takes, of the last handshake; 0 before one.
  [[nodiscard]] std::uint64_t max_picture_bytes() const { return server_.max_picture_bytes; }
  // Whether the server decodes boundary codecs, of the last handshake.
  [[nodiscard]] bool takes_codecs() const;
  // Whether it takes JPEGs at model size; likewise.
  [[nodiscard]] bool takes_model_jpegs() const;
  // When ensure_ready() will really try again; for messages.
  [[nodiscard]] Clock::time_point retry_at() const { return retry_at_; }
  // The end of the pause that the server last asked for, at most longest_pause from when it did.
  [[nodiscard]] Clock::time_point quiet_until() const { return state_->quiet_until; }
  // Why whoever was met last is not trusted to be the server; empty: it is, or nobody was met. It
  // is tried again, as rarely as the backoff allows: the right one may be there by then.
  [[nodiscard]] const std::string& stranger() const { return state_->stranger; }
  [[nodiscard]] const LinkCounters& counters() const { return state_->counters; }

 private:
  [[nodiscard]] Status not_now() const;
  asio::awaitable<Status> connect(Clock::time_point latest);
  void leave_if_over(const RequestChannel* channel);
  void leave_channel(const Status& why, bool was_ready);

  const asio::any_io_executor executor_;
  const std::shared_ptr<const ConnectionOptions> options_;
  const std::shared_ptr<LinkState> state_;
  std::shared_ptr<RequestChannel> channel_;  // null: none; perhaps over already
  Turns connecting_;
  Backoff backoff_;
  Clock::time_point retry_at_{};
  unsigned breaks_ = 0;  // of connections that were ready, since the last answer
  std::uint64_t handshakes_ = 0;
  std::string last_failure_;
  std::optional<Status> refused_;  // a mismatch, from the server itself: final
  ServerFacts server_;
};

}  // namespace cleave::agent
