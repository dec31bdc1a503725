// SPDX-License-Identifier: Apache-2.0
//
// Bytes and frames between the agent and its server, below what they mean: looks the server up,
// connects, secures the connection, and moves whole frames. Every await has a deadline; when one
// passes the link is closed. Errors are values and name the server.
//
// One coroutine may send while another receives; all else is for one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agent/connection_options.h"
#include "agent/deadline.h"
#include "agent/gather.h"
#include "agent/name_lookup.h"
#include "agent/net.h"
#include "schemas/frame.h"
#include "schemas/status.h"
#include "schemas/transport/stream.h"
#include "schemas/wire_reader.h"

namespace cleave::agent {

// A Goodbye is a courtesy: it does not hold up the end of the program.
inline constexpr std::chrono::seconds kGoodbyeTimeout{1};

class ServerLink {
 public:
  struct Incoming {
    const fbs::Envelope* envelope = nullptr;  // until the next frame is received
    std::uint64_t attachment_bytes = 0;       // still to be received
  };

  // `options` must outlive it.
  ServerLink(const asio::any_io_executor& executor, const ConnectionOptions& options);

  // A connection, secured as the options say, until `latest` and within their timeouts. Errors:
  // kUnavailable, kDeadlineExceeded; kMismatch (one end does not trust the other, or the connection
  // would have to be plain and must not).
  asio::awaitable<Status> connect(Clock::time_point latest);

  // All of `bytes`, each that the system takes being progress. Errors: kUnavailable,
  // kDeadlineExceeded.
  asio::awaitable<Status> send(std::span<const std::byte> bytes, Clock::time_point latest);
  // At most `limit` of them with one call of the system, which may take less, and no longer than
  // the stall timeout. Errors: as above.
  asio::awaitable<Status> send_some(Gather& bytes, std::size_t limit, Clock::time_point latest);
  asio::awaitable<Status> receive(std::span<std::byte> bytes, Clock::time_point latest);

  // The next frame but for its attachment, whose size fits the message. Its first byte may take
  // until `first_by`, what follows has the stall timeout besides, neither longer than `latest`.
  // Errors: as above; kCorrupt.
  asio::awaitable<Status> receive_frame(Incoming& frame, std::uint64_t max_attachment_bytes,
                                        Clock::time_point first_by, Clock::time_point latest);

  // Until the next connect() no message may be longer: what a peer claims is not allocated.
  void limit_messages(std::uint32_t max_bytes) { max_message_bytes_ = max_bytes; }

  // How long these bytes may take on the slowest link that is waited for, beside the stall timeout.
  [[nodiscard]] static Clock::duration transfer_time(std::uint64_t bytes);

  // Says Goodbye until `latest`, if `politely`, and closes. Does not fail.
  asio::awaitable<void> end(bool politely, Clock::time_point latest);
  void close();

  [[nodiscard]] bool is_open() const { return stream_.is_open(); }
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }
  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_received_; }
  // Of what was sent, that the server's system has not acknowledged yet.
  [[nodiscard]] std::uint64_t bytes_unacknowledged();

  // What ended it last, or kept it from coming to be, was a matter of trust: TLS, certificates and
  // lists of the revoked at either end, or plain TCP that is not allowed.
  [[nodiscard]] bool is_distrusted() const { return distrusted_; }

  // It was this end's verdict on a peer that had not proved to be the server: whoever can get in
  // between can bring it about.
  [[nodiscard]] bool met_stranger() const { return met_stranger_; }

  // The last connect() was to be over plain TCP to another machine.
  [[nodiscard]] bool is_open_to_others() const { return open_to_others_; }

  // The last connect() came to speak with whoever is there.
  [[nodiscard]] bool was_reached() const { return reached_; }

  // What a server's Error comes to, whatever it answers. kMismatch: trying again is pointless.
  [[nodiscard]] Status refusal(const fbs::Error& error) const;

 private:
  asio::awaitable<Status> secure(Clock::time_point latest);
  [[nodiscard]] Status broken(const error_code& error, const char* during,
                              const Deadline& deadline);

  const ConnectionOptions& options_;
  NameLookup names_;
  Stream stream_;
  Deadline read_deadline_;  // of connecting as well
  Deadline write_deadline_;
  bool secured_ = false;  // as far as the options ask for
  bool distrusted_ = false;
  bool met_stranger_ = false;
  bool open_to_others_ = false;
  bool reached_ = false;
  std::uint32_t max_message_bytes_ = kMaxMessageToAgentBytes;
  std::uint64_t bytes_sent_ = 0;  // handed to the system
  std::uint64_t bytes_received_ = 0;
  std::vector<std::uint64_t> message_storage_;  // 8-byte aligned, as FlatBuffers wants it
};

}  // namespace cleave::agent
