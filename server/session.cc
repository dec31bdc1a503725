// SPDX-License-Identifier: Apache-2.0
#include "server/session.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <tuple>
#include <utility>

namespace cleave::server {
namespace {

constexpr std::chrono::seconds kLingerTimeout{2};

// Of one connection, waiting to be written: 16 of the largest are 4 MiB, none of it a copy.
constexpr std::size_t kMaxFetches = 16;

std::string address_of(const tcp::socket& socket) {
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
      watchdog_(socket_.tcp_socket()),
      outbox_signal_(socket_.get_executor()),
      outbox_drained_(socket_.get_executor()),
      protocol_(context.models, context.options),
      peer_(address_of(socket_.tcp_socket())) {
  error_code ignored;
  socket_.tcp_socket().set_option(tcp::no_delay(true), ignored);
  outbox_signal_.expires_at(Clock::time_point::max());
  outbox_drained_.expires_at(Clock::time_point::max());
}

void Session::start(std::function<void(std::uint64_t)> on_closed, AddressPass pass) {
  on_closed_ = std::move(on_closed);
  address_pass_ = std::move(pass);
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
        executor, [self]() { return self->run(); },
        [self](std::exception_ptr error) {
          self->count_interrupted();
          self->fail(error);
        });
  } catch (const std::exception&) {
    fail(std::current_exception());
  }
}

// Only allocation can throw; the session ends, the server goes on.
void Session::fail(std::exception_ptr error) {
  if (error == nullptr) return;
  ++context_.stats.out_of_memory;
  log(LogLevel::kError, "out_of_memory");
  close();
}

void Session::close() {
  abort();
  watchdog_.stop();
  // Whichever loop failed, the others end by themselves; only the first end is told.
  if (const auto on_closed = std::exchange(on_closed_, nullptr)) {
    log(protocol_.welcomed() ? LogLevel::kInfo : LogLevel::kDebug, "closed");
    on_closed(id_);
  }
}

void Session::drain(std::string_view reason) {
  if (draining_ || closing_) return;
  draining_ = true;
  protocol_.drain();
  try {
    send(make_goodbye(reason));
  } catch (const std::exception&) {
    return fail(std::current_exception());
  }
  close_when_done();
}

void Session::close_when_done() {
  if (!draining_ || under_way() > 0) return;
  closing_ = true;
  outbox_signal_.cancel();
}

void Session::abort() {
  closing_ = true;
  error_code ignored;
  socket_.close(ignored);
  leave_desk();
  outbox_signal_.cancel();
  outbox_drained_.cancel();
}

void Session::leave_desk() {
  context_.stats.unanswered += pending_.size();
  while (!pending_.empty()) {
    const Pending request = pending_.back();
    pending_.pop_back();
    context_.desk.leave(request.ticket, *this);
    log(LogLevel::kInfo, "unanswered", request.request_id);
  }
}

asio::awaitable<void> Session::run() {
  const bool secured = co_await secure();
  // One co_await a statement: GCC 12 does not stop at a false left side of && between two.
  while (secured && !closing_) {
    Incoming frame;
    const bool received = co_await read_frame(frame);
    if (!received) break;
    const bool greeting = !protocol_.welcomed();
    const bool go_on = co_await handle(frame);
    // A Hello may have a token in it.
    if (greeting) OPENSSL_cleanse(message_storage_.data(), message_storage_.size() * 8);
    if (!go_on) break;
    co_await outbox_below_bound();
  }
  if (watchdog_.fired()) count_silence();
  count_interrupted();
  watchdog_.read_done();
  reading_ended_ = true;
  closing_ = true;
  outbox_signal_.cancel();
}

void Session::count_silence() {
  ServerStats& stats = context_.stats;
  if (watchdog_.fired_on_write()) {
    ++stats.stalled_writes;
    log(LogLevel::kInfo, "stalled_write");
  } else if (!protocol_.welcomed()) {
    ++stats.handshake_timeouts;
    log(LogLevel::kInfo, "handshake_timeout");
  } else if (silence_ == Silence::kWithinFrame) {
    ++stats.stalled_reads;
    log(LogLevel::kInfo, "stalled_read");
  } else if (protocol_.heartbeat_ms() > 0) {
    ++stats.half_open;
    log(LogLevel::kInfo, "half_open");
  } else {
    ++stats.idle_closed;
    log(LogLevel::kInfo, "idle_closed");
  }
}

void Session::count_interrupted() {
  if (!in_hand_) return;
  ++context_.stats.unanswered;
  log(LogLevel::kInfo, "unanswered", *std::exchange(in_hand_, std::nullopt),
      "the connection ended before the request was read");
}

// A peer that sends and never reads must not make the outbox grow: reading waits for it.
asio::awaitable<void> Session::outbox_below_bound() {
  const std::size_t bound = 2 * std::size_t{context_.options.max_inflight} + 4;
  const auto over_bound = [&] { return outbox_.size() > bound || pieces_.size() > kMaxFetches; };
  while (over_bound() && !closing_ && !hung_up_ && socket_.is_open()) {
    co_await outbox_drained_.async_wait(as_result);
  }
}

asio::awaitable<void> Session::write_loop() {
  bool failed = false;
  while (socket_.is_open()) {
    if (securing_ || (outbox_.empty() && pieces_.empty())) {
      // Answers of a draining session are still coming; otherwise a closing one is done.
      if (closing_ && (under_way() == 0 || !draining_)) break;
      co_await outbox_signal_.async_wait(as_result);
      continue;
    }
    const bool written = co_await write_frame(take_outbound());
    outbox_drained_.cancel();
    failed = !written;
    if (failed) break;
    if (awaiting_frame_) expect_frame();
  }
  leave_desk();
  co_await end_reading();
  if (!failed) co_await linger();
  close();
}

// A piece of a model waits for whatever else there is to say.
Session::Outbound Session::take_outbound() {
  Outbound next;
  if (!outbox_.empty()) {
    next.frame = std::move(outbox_.front());
    outbox_.pop_front();
  } else {
    next = std::move(pieces_.front());
    pieces_.pop_front();
  }
  return next;
}

// Each byte that the system takes is progress: over a slow link a piece needs a minute. A peer that
// takes a byte now and then has the time of the slowest link for the whole.
asio::awaitable<bool> Session::write_frame(Outbound outbound) {
  std::array<asio::const_buffer, 2> parts{
      asio::buffer(outbound.frame.data(), outbound.frame.size()),
      asio::buffer(outbound.attachment.data(), outbound.attachment.size())};
  const Clock::time_point latest = transfer_deadline(asio::buffer_size(parts));
  while (asio::buffer_size(parts) > 0) {
    watchdog_.expect_write_until(std::min(latest, Clock::now() + context_.options.stall_timeout));
    const auto [error, count] = co_await socket_.async_write_some(parts, as_result);
    watchdog_.write_done();
    context_.stats.bytes_out += count;
    if (error) co_return false;
    const std::size_t of_frame = std::min(count, parts[0].size());
    parts[0] += of_frame;
    parts[1] += count - of_frame;
  }
  co_return true;
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
    // Below TLS, if there is any: what comes means nothing any more.
    std::tie(error, count) =
        co_await socket_.tcp_socket().async_read_some(asio::buffer(scrap), as_result);
  }
}

void Session::send(FrameBytes frame) {
  outbox_.push_back(std::move(frame));
  outbox_signal_.cancel();
}

void Session::log(LogLevel level, std::string_view event, std::uint64_t request_id,
                  std::string_view why) const {
  log_event(level, event,
            {{"session", id_},
             {"peer", peer_},
             {"device", protocol_.device()},
             {"request", LogId{request_id}},
             {"why", why}});
}

}  // namespace cleave::server
