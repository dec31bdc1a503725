// SPDX-License-Identifier: Apache-2.0
#include "agent/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace cleave::agent {
namespace {

// A Goodbye is a courtesy: it does not hold up the end of the program.
constexpr std::chrono::seconds kGoodbyeTimeout{1};

}  // namespace

Connection::Connection(asio::any_io_executor executor, const ConnectionOptions& options)
    : options_(options),
      names_(options.name_system),
      socket_(executor),
      deadline_(socket_),
      pace_timer_(executor),
      pacer_(options.uplink_bits_per_second),
      backoff_(options.first_backoff, options.longest_backoff, options.seed) {}

asio::awaitable<Status> Connection::ensure_ready(Clock::time_point latest) {
  latest_ = latest;
  if (refused_) co_return *refused_;
  if (const Clock::duration pause = quiet_until_ - Clock::now(); pause > Clock::duration::zero()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(pause).count();
    co_return Status(StatusCode::kUnavailable, to_string(options_.server) + " asked for a pause; " +
                                                   std::to_string(left) + " ms of it are left");
  }
  if (ready_) co_return Status::ok();
  if (Clock::now() < retry_at_) {
    co_return Status(StatusCode::kUnavailable,
                     "no connection to " + to_string(options_.server) + " yet");
  }
  Status status = co_await connect();
  if (status.is_ok()) status = co_await handshake();
  if (status.is_ok()) status = co_await measure_rtt();
  if (!status.is_ok()) {
    drop();
    if (status.code() == StatusCode::kMismatch) refused_ = status;
    co_return status;
  }
  backoff_.succeeded();
  ready_ = true;
  co_return status;
}

asio::awaitable<Status> Connection::connect() {
  deadline_.reset();
  const Clock::time_point by = std::min(latest_, Clock::now() + options_.connect_timeout);
  const auto endpoints = co_await names_.resolve(options_.server, by);
  if (!endpoints.is_ok()) {
    co_return endpoints.status().with_context(to_string(options_.server) +
                                              ": looking up the server");
  }
  deadline_.arm(by);
  const auto [error, endpoint] = co_await asio::async_connect(socket_, *endpoints, as_result);
  deadline_.disarm();
  if (error) co_return broken(error, "connecting");
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  co_return Status::ok();
}

asio::awaitable<Status> Connection::handshake() {
  const FrameBytes hello = make_hello(options_.device, options_.model_identity);
  if (Status status = co_await send(hello); !status.is_ok()) co_return status;
  Incoming frame;
  const Clock::time_point by = Clock::now() + options_.handshake_timeout;
  if (Status status = co_await receive(by, frame); !status.is_ok()) co_return status;
  if (const fbs::Error* error = frame.envelope->message_as_Error()) co_return take_error(*error);
  const fbs::Welcome* welcome = frame.envelope->message_as_Welcome();
  if (welcome == nullptr) {
    co_return Status(StatusCode::kCorrupt, "the server did not answer Hello with Welcome");
  }
  max_picture_bytes_ = welcome->max_picture_bytes();
  profile_.reset();
  if (welcome->profile() != nullptr) {
    auto profile = profile_from_message(*welcome->profile());
    if (!profile.is_ok()) co_return profile.status().with_context("the server's profile");
    if (profile->model_identity != options_.model_identity) {
      co_return Status(StatusCode::kMismatch, "the server's profile is of another model");
    }
    profile_ = std::move(profile).value();
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::measure_rtt() {
  rtt_ns_ = UINT64_MAX;
  for (std::uint64_t nonce = 1; nonce <= 3; ++nonce) {
    const auto start = Clock::now();
    if (Status status = co_await send(make_ping(nonce)); !status.is_ok()) co_return status;
    Incoming frame;
    const Clock::time_point by = start + options_.stall_timeout;
    if (Status status = co_await receive(by, frame); !status.is_ok()) co_return status;
    const fbs::Pong* pong = frame.envelope->message_as_Pong();
    if (pong == nullptr || pong->nonce() != nonce) {
      co_return Status(StatusCode::kCorrupt, "the server did not answer Ping with Pong");
    }
    rtt_ns_ = std::min(rtt_ns_, ns_between(start, Clock::now()));
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::exchange(const Outgoing& request, ServerAnswer& answer) {
  if (Status status = co_await ensure_ready(request.latest); !status.is_ok()) co_return status;
  std::uint64_t attachment_bytes = 0;
  for (const auto& part : request.attachment) attachment_bytes += part.size();
  const auto start = Clock::now();
  if (start >= request.latest) {
    co_return Status(StatusCode::kDeadlineExceeded,
                     to_string(options_.server) + ": no time left to ask");
  }
  const bool limited = request.latest != Clock::time_point::max();
  const FrameBytes head =
      make_request(request.request_id, request.variant, request.cut, request.codec,
                   limited ? ns_between(start, request.latest) : 0, attachment_bytes);
  Status status = co_await send(head);
  for (const auto& part : request.attachment) {
    if (status.is_ok()) status = co_await send(part);
  }
  if (status.is_ok()) status = co_await receive_answer(request, answer);
  answer.wait_ns = ns_between(start, Clock::now());
  answer.frame_bytes_up = head.size() + attachment_bytes;
  const bool connection_is_sound = status.is_ok() ||
                                   status.code() == StatusCode::kResourceExhausted ||
                                   status.code() == StatusCode::kInvalidArgument ||
                                   status.code() == StatusCode::kDeadlineExceeded;
  if (!connection_is_sound || !socket_.is_open()) drop();
  co_return status;
}

asio::awaitable<Status> Connection::receive_answer(const Outgoing& request, ServerAnswer& answer) {
  for (;;) {
    Incoming frame;
    if (Status status = co_await receive(request.latest, frame); !status.is_ok()) co_return status;
    switch (frame.envelope->message_type()) {
      case fbs::Message::Answer: {
        const fbs::Answer& message = *frame.envelope->message_as_Answer();
        if (message.request_id() != request.request_id) continue;  // of a request given up
        if (message.scores()->size() != options_.score_count) {
          co_return Status(StatusCode::kCorrupt, "the answer has a wrong number of scores");
        }
        answer.scores.assign(message.scores()->begin(), message.scores()->end());
        answer.times = {message.residence_ns(), message.queue_ns(), message.decode_ns(),
                        message.compute_ns()};
        co_return Status::ok();
      }
      case fbs::Message::Error: {
        const fbs::Error& error = *frame.envelope->message_as_Error();
        Status status = take_error(error);  // its pause holds, whichever request it is about
        if (error.request_id() != 0 && error.request_id() != request.request_id) continue;
        co_return status;
      }
      case fbs::Message::Goodbye:  // the answer to what is under way still comes
      case fbs::Message::Pong:
        continue;
      default:
        co_return Status(StatusCode::kCorrupt, "the server sent an unexpected message");
    }
  }
}

asio::awaitable<void> Connection::close() {
  latest_ = Clock::now() + kGoodbyeTimeout;
  if (ready_) (void)co_await send(make_goodbye("done"));
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  ready_ = false;
  socket_.close(ignored);
  deadline_.disarm();
}

asio::awaitable<Status> Connection::send(std::span<const std::byte> bytes) {
  const std::size_t chunk = pacer_.limits() ? pacer_.chunk_bytes() : std::size_t{1} << 18;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(chunk, bytes.size()));
    if (pacer_.limits()) {
      const Clock::time_point carried_at = pacer_.carried_at(part.size(), Clock::now());
      pace_timer_.expires_at(std::min(carried_at, latest_));
      co_await pace_timer_.async_wait(as_result);
      if (carried_at > latest_) {
        // In the middle of a frame: of no use to anybody any more.
        error_code ignored;
        socket_.close(ignored);
        co_return Status(StatusCode::kDeadlineExceeded,
                         to_string(options_.server) + ": sending: not done in time");
      }
    }
    deadline_.arm(std::min(latest_, Clock::now() + options_.stall_timeout));
    const auto [error, count] =
        co_await asio::async_write(socket_, asio::buffer(part.data(), part.size()), as_result);
    deadline_.disarm();
    if (error) co_return broken(error, "sending");
    bytes = bytes.subspan(count);
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::receive_exactly(std::span<std::byte> bytes,
                                                    Clock::time_point by) {
  while (!bytes.empty()) {
    deadline_.arm(std::min(latest_, by));
    const auto [error, count] =
        co_await socket_.async_read_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    deadline_.disarm();
    if (error) co_return broken(error, "waiting for the server");
    bytes = bytes.subspan(count);
    by = Clock::now() + options_.stall_timeout;
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::receive(Clock::time_point first_byte_by, Incoming& frame) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (Status status = co_await receive_exactly(bytes, first_byte_by); !status.is_ok()) {
    co_return status;
  }
  const auto header = decode_frame_header(bytes, {.max_attachment_bytes = 0});
  if (!header.is_ok()) co_return header.status().with_context("from the server");
  message_storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          header->message_bytes);
  const Clock::time_point by = Clock::now() + options_.stall_timeout;
  if (Status status = co_await receive_exactly(message, by); !status.is_ok()) co_return status;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) co_return envelope.status().with_context("from the server");
  frame.envelope = *envelope;
  co_return Status::ok();
}

Status Connection::broken(const error_code& error, const char* during) const {
  const std::string why = deadline_.passed() ? "no progress in time" : error.message();
  return {deadline_.passed() ? StatusCode::kDeadlineExceeded : StatusCode::kUnavailable,
          to_string(options_.server) + ": " + during + ": " + why};
}

Status Connection::take_error(const fbs::Error& error) {
  const std::chrono::milliseconds asked(error.retry_after_ms());
  if (asked.count() > 0) {
    quiet_until_ = std::max(quiet_until_, Clock::now() + std::min(asked, options_.longest_pause));
  }
  return server_error(error);
}

Status Connection::server_error(const fbs::Error& error) const {
  const std::string text = to_string(options_.server) + ": " + error.text()->str();
  switch (error.code()) {
    case fbs::ErrorCode::VersionMismatch:
    case fbs::ErrorCode::UnknownModel:
      return {StatusCode::kMismatch, text};
    case fbs::ErrorCode::Busy:
      return {StatusCode::kResourceExhausted, text};
    case fbs::ErrorCode::DeadlineExceeded:
      return {StatusCode::kDeadlineExceeded, text};
    case fbs::ErrorCode::BadPicture:
    case fbs::ErrorCode::BadRequest:
      return {StatusCode::kInvalidArgument, text};
    default:
      return {StatusCode::kUnavailable, text};
  }
}

void Connection::drop() {
  error_code ignored;
  socket_.close(ignored);
  deadline_.disarm();
  // A connection that worked may be made anew at once; a server that was not there may not.
  retry_at_ = ready_ ? Clock::now() : Clock::now() + backoff_.next();
  ready_ = false;
}

}  // namespace cleave::agent
