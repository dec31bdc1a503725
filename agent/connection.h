// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of a session with one server: connects when needed, shakes hands, sends one
// request at a time and waits for its answer. Every await has a deadline; errors are values.
//
// When the connection is closed and the next call makes another:
//   - after every error of the link or of what it carried (also when time ran out while bytes were
//     on their way), at a BadRequest and at every other error after which the server closes;
//   - not after Busy, BadPicture or a server's DeadlineExceeded: they answer one request, and the
//     next goes over the same connection;
//   - after the answer, when the server has said Goodbye.
// The first break since an answer is mended at once; after another, the backoff holds until a
// server answers again. A Ping of the server's is answered while the agent waits for something.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/backoff.h"
#include "agent/connection_options.h"
#include "agent/net.h"
#include "agent/server_link.h"
#include "agent/uplink_pacer.h"
#include "schemas/profile_reader.h"
#include "schemas/wire_reader.h"

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
  std::uint64_t wait_ns = 0;              // first byte out to last byte in
  std::uint64_t frame_bytes_up = 0;       // everything written for this request
  std::uint64_t attachment_bytes_up = 0;  // of it, attachment; also after an error
};

class Connection {
 public:
  Connection(asio::any_io_executor executor, const ConnectionOptions& options);

  // Ready to send: connects and shakes hands if there is no connection. Errors: kUnavailable (no
  // server, it is too early to try again, or the server asked for a pause that is not over: it is
  // then offered nothing, see quiet_until()), kMismatch (the server holds another model or speaks
  // another protocol, or one end does not trust the other; trying again is pointless), kCorrupt,
  // kDeadlineExceeded.
  asio::awaitable<Status> ensure_ready(Clock::time_point latest = Clock::time_point::max());

  // Sends `request` and waits for its answer into `answer`, until request.latest whatever is under
  // way by then. Errors: as above; kResourceExhausted
  // when the server is busy, kInvalidArgument when it refuses the request (its words).
  asio::awaitable<Status> exchange(const Outgoing& request, ServerAnswer& answer);

  // Says Goodbye (for at most a second) and closes. Does not fail.
  asio::awaitable<void> close();

  [[nodiscard]] bool is_open() const { return ready_; }
  // Of the last handshake.
  [[nodiscard]] const std::optional<ProfileData>& server_profile() const { return profile_; }
  [[nodiscard]] std::uint64_t rtt_ns() const { return rtt_ns_; }
  // How many have succeeded; rtt_ns() is a new measurement when this has changed.
  [[nodiscard]] std::uint64_t handshakes() const { return handshakes_; }
  // Largest file the server takes, of the last handshake; 0 before one.
  [[nodiscard]] std::uint64_t max_picture_bytes() const { return max_picture_bytes_; }
  // Whether the server decodes boundary codecs, of the last handshake.
  [[nodiscard]] bool takes_codecs() const { return takes_codecs_; }
  // When ensure_ready() will really try again; for messages.
  [[nodiscard]] Clock::time_point retry_at() const { return retry_at_; }
  // The end of the pause that the server last asked for, at most longest_pause from when it did.
  [[nodiscard]] Clock::time_point quiet_until() const { return quiet_until_; }

 private:
  using Incoming = ServerLink::Incoming;

  asio::awaitable<Status> handshake();
  asio::awaitable<Status> exchange_hello();
  asio::awaitable<Status> measure_rtt();
  asio::awaitable<Status> send(std::span<const std::byte> bytes);
  asio::awaitable<Status> await_turn(std::size_t bytes);
  // The next message that is not about the connection itself.
  asio::awaitable<Status> receive(Incoming& frame);
  asio::awaitable<Status> receive_answer(const Outgoing& request, ServerAnswer& answer);
  Status take_error(const fbs::Error& error);
  void drop(const Status& why);

  const ConnectionOptions options_;
  ServerLink link_;
  asio::steady_timer pace_timer_;
  UplinkPacer pacer_;
  Backoff backoff_;
  Clock::time_point retry_at_{};
  Clock::time_point quiet_until_{};
  Clock::time_point latest_ = Clock::time_point::max();  // of the call that is under way
  bool ready_ = false;
  bool closing_ = false;  // the server ends this connection
  unsigned breaks_ = 0;   // of connections that were ready, since the last answer
  std::uint64_t handshakes_ = 0;
  std::string last_failure_;
  std::optional<Status> refused_;  // a mismatch: final
  std::optional<ProfileData> profile_;
  std::uint64_t rtt_ns_ = 0;
  std::uint64_t max_picture_bytes_ = 0;
  bool takes_codecs_ = false;
};

}  // namespace cleave::agent
