// SPDX-License-Identifier: Apache-2.0
#include "server/session.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>
#include <tuple>
#include <utility>

namespace cleave::server {
namespace {

constexpr std::chrono::seconds kLingerTimeout{2};

std::string peer_name(const tcp::socket& socket) {
  error_code error;
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  if (error) return "?";
  return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

}  // namespace

Session::Session(tcp::socket socket, std::uint64_t id, const SessionContext& context)
    : socket_(std::move(socket)),
      id_(id),
      context_(context),
      watchdog_(socket_),
      outbox_signal_(socket_.get_executor()),
      outbox_drained_(socket_.get_executor()),
      peer_(peer_name(socket_)) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  outbox_signal_.expires_at(Clock::time_point::max());
  outbox_drained_.expires_at(Clock::time_point::max());
}

void Session::start(std::function<void(std::uint64_t)> on_closed) {
  on_closed_ = std::move(on_closed);
  const auto executor = socket_.get_executor();
  const auto self = shared_from_this();
  handshake_deadline_ = Clock::now() + context_.options.handshake_timeout;
  const auto ended = [self](std::exception_ptr error) { self->fail(error); };
  try {
    asio::co_spawn(
        executor, [self]() { return self->watchdog_.watch(); }, ended);
    asio::co_spawn(
        executor, [self]() { return self->write_loop(); }, ended);
    asio::co_spawn(
        executor, [self]() { return self->run(); }, ended);
  } catch (const std::exception&) {
    fail(std::current_exception());
  }
}

// Only allocation can throw; the session ends, the server goes on.
void Session::fail(std::exception_ptr error) {
  if (error == nullptr) return;
  spdlog::error("{} {}: out of resources, closed", peer_, device_);
  close();
}

void Session::close() {
  abort();
  watchdog_.stop();
  // Whichever loop failed, the others end by themselves; only the first end is told.
  if (const auto on_closed = std::exchange(on_closed_, nullptr)) on_closed(id_);
}

void Session::drain(std::string_view reason) {
  if (draining_ || closing_) return;
  draining_ = true;
  try {
    send(make_goodbye(reason));
  } catch (const std::exception&) {
    return fail(std::current_exception());
  }
  if (inflight_ == 0) {
    closing_ = true;
    outbox_signal_.cancel();
  }
}

void Session::abort() {
  closing_ = true;
  error_code ignored;
  socket_.close(ignored);
  *gone_ = true;
  outbox_signal_.cancel();
  outbox_drained_.cancel();
}

asio::awaitable<void> Session::run() {
  if (co_await handshake()) {
    const FrameLimits limits{
        .max_message_bytes = kMaxMessageToServerBytes,
        .max_attachment_bytes =
            std::max(model_->max_boundary_bytes, context_.options.picture.max_file_bytes)};
    // One co_await a statement: GCC 12 does not stop at a false left side of && between two.
    while (!closing_) {
      Incoming frame;
      const bool received = co_await read_frame(limits, frame);
      if (!received) break;
      const bool go_on = co_await handle(frame);
      if (!go_on) break;
      co_await outbox_below_bound();
    }
  }
  if (watchdog_.fired()) spdlog::info("{} {}: silent or stalled, closed", peer_, device_);
  watchdog_.read_done();
  reading_ended_ = true;
  closing_ = true;
  outbox_signal_.cancel();
}

// A peer that sends and never reads must not make the outbox grow: reading waits for it.
asio::awaitable<void> Session::outbox_below_bound() {
  const std::size_t bound = 2 * std::size_t{context_.options.max_inflight} + 4;
  while (outbox_.size() > bound && !closing_ && !hung_up_ && socket_.is_open()) {
    co_await outbox_drained_.async_wait(as_result);
  }
}

asio::awaitable<void> Session::write_loop() {
  bool failed = false;
  while (socket_.is_open()) {
    if (outbox_.empty()) {
      // Answers of a draining session are still coming; otherwise a closing one is done.
      if (closing_ && (inflight_ == 0 || !draining_)) break;
      co_await outbox_signal_.async_wait(as_result);
      continue;
    }
    const FrameBytes frame = std::move(outbox_.front());
    outbox_.pop_front();
    watchdog_.expect_write(context_.options.stall_timeout);
    const auto [error, written] =
        co_await asio::async_write(socket_, asio::buffer(frame.data(), frame.size()), as_result);
    watchdog_.write_done();
    outbox_drained_.cancel();
    failed = static_cast<bool>(error);
    if (failed) break;
  }
  *gone_ = true;
  co_await end_reading();
  if (!failed) co_await linger();
  close();
}

// Only one may read the socket: what lingers waits for the reader's end.
asio::awaitable<void> Session::end_reading() {
  hung_up_ = true;
  outbox_drained_.cancel();
  error_code ignored;
  socket_.cancel(ignored);
  while (!reading_ended_ && socket_.is_open()) co_await outbox_signal_.async_wait(as_result);
}

asio::awaitable<void> Session::linger() {
  // Closing with unread bytes resets the connection, and the last frame could be lost on its way.
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  watchdog_.expect_read(kLingerTimeout);
  std::array<std::byte, 4096> scrap;
  while (!error) {
    std::size_t count = 0;
    std::tie(error, count) = co_await socket_.async_read_some(asio::buffer(scrap), as_result);
  }
}

void Session::send(FrameBytes frame) {
  outbox_.push_back(std::move(frame));
  outbox_signal_.cancel();
}

void Session::refuse(fbs::ErrorCode code, std::string_view text) {
  spdlog::info("{} {}: refused: {}", peer_, device_, text);
  ++context_.stats.errors;
  send(make_error(0, code, text));
  closing_ = true;
}

}  // namespace cleave::server
