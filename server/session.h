// SPDX-License-Identifier: Apache-2.0
//
// One agent's connection: handshake, requests in, answers out. Everything here runs on the network
// thread; only TailJob::done comes from a worker, and posts itself back.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "schemas/frame.h"
#include "schemas/wire_reader.h"
#include "server/model_store.h"
#include "server/net.h"
#include "server/payload_pool.h"
#include "server/server_options.h"
#include "server/server_stats.h"
#include "server/tail_pool.h"
#include "server/watchdog.h"

namespace cleave::server {

// What sessions share; owned by the Server and alive as long as any session.
struct SessionContext {
  const ModelStore& models;
  TailPool& pool;
  const ServerOptions& options;
  ServerStats& stats;
  PayloadPool& payloads;
  std::span<std::byte> scrap;  // takes what is read away; its content means nothing
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::uint64_t id, const SessionContext& context);

  // Starts the session; it keeps itself alive until the connection ends. `on_closed` is then
  // called once with the id.
  void start(std::function<void(std::uint64_t)> on_closed);

  // Orderly end: tells the agent Goodbye, refuses further requests, finishes those under way.
  void drain(std::string_view reason);
  // Ends the connection now.
  void abort();

 private:
  struct Incoming {
    FrameHeader header;
    const fbs::Envelope* envelope = nullptr;
  };

  asio::awaitable<void> run();
  asio::awaitable<void> write_loop();
  asio::awaitable<void> end_reading();
  asio::awaitable<void> linger();
  asio::awaitable<void> outbox_below_bound();
  void fail(std::exception_ptr error);
  // The one place where a session is over: socket, deadlines, `on_closed_`. Idempotent.
  void close();

  // session_handshake.cc
  asio::awaitable<bool> handshake();

  // session_read.cc: reading with progress deadlines. False: the connection is over.
  // `latest` bounds the whole, stall_timeout each wait for a byte.
  asio::awaitable<bool> read_exactly(std::span<std::byte> bytes, Clock::time_point latest);
  // The first bytes of a header, as many as came; 0: the connection is over.
  asio::awaitable<std::size_t> await_frame(std::span<std::byte> header);
  void expect_frame();
  [[nodiscard]] Clock::time_point frame_deadline() const;
  [[nodiscard]] Clock::time_point attachment_deadline(std::uint64_t bytes) const;
  asio::awaitable<bool> read_frame(const FrameLimits& limits, Incoming& frame);
  asio::awaitable<bool> skip_attachment(std::uint64_t bytes);

  // session_request.cc
  asio::awaitable<bool> handle(const Incoming& frame);
  asio::awaitable<bool> handle_request(const fbs::Request& request, std::uint64_t attachment_bytes);
  asio::awaitable<bool> turn_down(std::uint64_t request_id, std::uint64_t attachment_bytes,
                                  fbs::ErrorCode code, std::string_view why);
  std::unique_ptr<TailJob> make_job(const fbs::Request& request, std::uint64_t attachment_bytes);
  [[nodiscard]] std::vector<std::size_t> buffer_sizes(const TailJob& job) const;
  asio::awaitable<bool> receive_attachment(TailJob& job);
  // Why the request does not fit the model, or empty.
  [[nodiscard]] std::string check_request(const fbs::Request& request,
                                          std::uint64_t attachment_bytes) const;
  void finish(std::unique_ptr<TailJob> job);
  void reply(const TailJob& job);

  void send(FrameBytes frame);
  // Sends an Error about the connection and closes it once it is written.
  void refuse(fbs::ErrorCode code, std::string_view text);

  tcp::socket socket_;
  const std::uint64_t id_;
  const SessionContext& context_;
  Watchdog watchdog_;
  asio::steady_timer outbox_signal_;   // something to write, or an end
  asio::steady_timer outbox_drained_;  // something was written
  std::deque<FrameBytes> outbox_;
  std::vector<std::uint64_t> message_storage_;  // 8-byte aligned, as FlatBuffers wants it
  const LoadedModel* model_ = nullptr;
  std::string device_;
  std::string peer_;
  std::size_t inflight_ = 0;
  std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  Clock::time_point handshake_deadline_;
  bool awaiting_frame_ = false;
  bool draining_ = false;
  bool reading_ended_ = false;
  bool hung_up_ = false;  // nothing more is written; reading ends at once
  bool closing_ = false;  // no more reading; close when the outbox is empty
  std::function<void(std::uint64_t)> on_closed_;
};

}  // namespace cleave::server
