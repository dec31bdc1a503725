// SPDX-License-Identifier: Apache-2.0
//
// One agent's connection: handshake, requests in, answers out. Everything here runs on the network
// thread; the decisions are SessionProtocol's, the computations the RequestDesk's.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/frame.h"
#include "schemas/transport/stream.h"
#include "schemas/wire_reader.h"
#include "server/address_limiter.h"
#include "server/device_limiter.h"
#include "server/event_log.h"
#include "server/model_store.h"
#include "server/net.h"
#include "server/payload_pool.h"
#include "server/request_desk.h"
#include "server/server_options.h"
#include "server/server_stats.h"
#include "server/session_protocol.h"
#include "server/tail_pool.h"
#include "server/trust.h"
#include "server/watchdog.h"

namespace cleave::server {

// What sessions share; owned by the Server and alive as long as any session.
struct SessionContext {
  const ModelStore& models;
  TailPool& pool;
  const ServerOptions& options;
  ServerStats& stats;
  PayloadPool& payloads;
  RequestDesk& desk;
  DeviceLimiter& devices;
  const Trust& trust;
  std::span<std::byte> scrap;  // takes what is read away; its content means nothing
};

class Session final : public ReplyTaker, public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::uint64_t id, const SessionContext& context);

  // Starts the session; it keeps itself alive until the connection ends. `on_closed` is then
  // called once with the id. `pass` is the connection's place among those of its address.
  void start(std::function<void(std::uint64_t)> on_closed, AddressPass pass = {});

  // Orderly end: tells the agent Goodbye, refuses further requests, finishes those under way.
  void drain(std::string_view reason);
  // Ends the connection now.
  void abort();
  // Trust has changed: ends it, without what is under way, if the device is not believed any more.
  void judge_again();

  // For the desk only.
  void take_reply(std::uint64_t ticket, const Reply& reply) override;

 private:
  // A request that waits for its reply. One resent on this connection is here twice.
  struct Pending {
    std::uint64_t ticket = 0;
    std::uint64_t request_id = 0;
    Clock::time_point arrived;  // last byte in
    bool repeated = false;      // the computation was begun for another
  };
  enum class Silence { kBetweenFrames, kWithinFrame };
  // A frame to be written; what is attached lies in a model's mapped file.
  struct Outbound {
    FrameBytes frame;
    std::span<const std::byte> attachment;
  };
  struct Incoming {
    FrameHeader header;
    const fbs::Envelope* envelope = nullptr;
  };

  asio::awaitable<void> run();
  asio::awaitable<void> write_loop();
  Outbound take_outbound();
  asio::awaitable<bool> write_frame(Outbound outbound);
  asio::awaitable<void> end_reading();
  asio::awaitable<void> linger();
  asio::awaitable<void> outbox_below_bound();
  void fail(std::exception_ptr error);
  // The one place where a session is over: socket, deadlines, `on_closed_`. Idempotent.
  void close();

  // Requests without a reply: being received, or waiting for a computation.
  [[nodiscard]] std::size_t under_way() const { return pending_.size() + receiving_; }
  // The replies of what is under way are of no use any more.
  void leave_desk();
  // Ends an orderly end that waits for the last reply.
  void close_when_done();
  void count_silence();
  // The request that was being read when the connection ended, if there was one.
  void count_interrupted();

  // session_handshake.cc
  // The transport's part of the handshake. False: the connection is over.
  asio::awaitable<bool> secure();
  void count_insecure(const error_code& error);
  [[nodiscard]] std::string why_distrusted() const;
  void welcome();

  // session_read.cc: reading with progress deadlines. False: the connection is over.
  // When the next byte must have come, whatever came before; of an attachment each byte that comes
  // puts it off by what it may take on the slowest link.
  struct ReadPace {
    Clock::time_point latest;
    bool bytes_put_it_off = false;
  };
  // `pace` bounds the whole, stall_timeout each wait for a byte.
  asio::awaitable<bool> read_exactly(std::span<std::byte> bytes, ReadPace& pace);
  // From now, for one attachment: it may stand for the stall timeout, and must else keep up with
  // the slowest link.
  [[nodiscard]] ReadPace attachment_pace() const;
  [[nodiscard]] Clock::time_point put_off(Clock::time_point latest, std::size_t bytes) const;
  // The first bytes of a header, as many as came; 0: the connection is over.
  asio::awaitable<std::size_t> await_frame(std::span<std::byte> header);
  void expect_frame();
  [[nodiscard]] Clock::time_point frame_deadline() const;
  // Of so many bytes, on the slowest link.
  [[nodiscard]] std::chrono::nanoseconds longest_transfer(std::uint64_t bytes) const;
  // For so many bytes of a frame of ours, from now.
  [[nodiscard]] Clock::time_point transfer_deadline(std::uint64_t bytes) const;
  asio::awaitable<bool> read_frame(Incoming& frame);
  asio::awaitable<bool> skip_attachment(std::uint64_t bytes);

  // session_request.cc
  asio::awaitable<bool> handle(const Incoming& frame);
  // Takes the request, or turns it down, as `step` says; that lives until it has ended.
  asio::awaitable<bool> take_request(const fbs::Request& request, const SessionProtocol::Step& step,
                                     std::uint64_t attachment_bytes);
  asio::awaitable<bool> handle_request(const fbs::Request& request, std::uint64_t attachment_bytes);
  // `why` with its counter, and when to come back (0: as the queue is long).
  struct TurnDown {
    fbs::ErrorCode code;
    std::string_view why;
    std::uint64_t ServerStats::*counter;
    std::uint32_t retry_after_ms = 0;
  };
  asio::awaitable<bool> turn_down(std::uint64_t request_id, std::uint64_t attachment_bytes,
                                  TurnDown reason);
  [[nodiscard]] std::unique_ptr<TailJob> make_job(const fbs::Request& request,
                                                  std::uint64_t attachment_bytes) const;
  asio::awaitable<bool> receive_attachment(TailJob& job);
  void submit(std::unique_ptr<TailJob> job, std::optional<RequestKey> key,
              const RequestShape& shape);
  void cancel(std::uint64_t request_id);

  // session_fetch.cc
  void handle_fetch(const fbs::Fetch& fetch);

  // session_resend.cc
  struct Resend {
    RequestKey key;
    RequestShape shape;
    std::uint64_t remaining_ns = 0;
    std::uint64_t sample = 0;  // of its attachment, once that is read
  };
  // False: the connection is over.
  asio::awaitable<bool> handle_resend(Resend resend, RequestDesk::LookUp known);
  asio::awaitable<bool> sample_attachment(Resend& resend);
  bool answer_resend(const Resend& resend, RequestDesk::LookUp known);
  bool refuse_other(std::uint64_t request_id);

  // session_reply.cc
  void reply(const Pending& request, const Reply& reply);
  void send_busy(std::uint64_t request_id, const TurnDown& reason);
  // Does what the protocol says about a peer that is not gone on with.
  void refuse(const SessionProtocol::Step& step);
  void send(FrameBytes frame);
  void log(LogLevel level, std::string_view event, std::uint64_t request_id = 0,
           std::string_view why = {}) const;

  Stream socket_;
  const std::uint64_t id_;
  const SessionContext& context_;
  Watchdog watchdog_;
  asio::steady_timer outbox_signal_;   // something to write, or an end
  asio::steady_timer outbox_drained_;  // something was written
  std::deque<FrameBytes> outbox_;
  std::deque<Outbound> pieces_;                 // written when the outbox is empty
  std::vector<std::uint64_t> message_storage_;  // 8-byte aligned, as FlatBuffers wants it
  SessionProtocol protocol_;
  std::shared_ptr<DeviceAccount> account_;  // from Welcome on
  AddressPass address_pass_;
  std::string peer_;
  std::vector<Pending> pending_;
  std::size_t receiving_ = 0;             // of requests, 0 or 1
  std::optional<std::uint64_t> in_hand_;  // id of the request that is read and has no end yet
  Silence silence_ = Silence::kBetweenFrames;
  Clock::time_point handshake_deadline_;
  Clock::time_point heard_;  // the last sign of life, or when we began to listen again
  bool fetched_ = false;     // anything
  bool securing_ = true;     // nothing of ours may be written yet
  bool awaiting_frame_ = false;
  bool draining_ = false;
  bool reading_ended_ = false;
  bool hung_up_ = false;  // nothing more is queued but why; reading ends at once
  bool closing_ = false;  // no more reading; close when the outbox is empty
  std::function<void(std::uint64_t)> on_closed_;
};

}  // namespace cleave::server
