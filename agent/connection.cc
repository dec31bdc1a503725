// SPDX-License-Identifier: Apache-2.0
#include "agent/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <utility>

#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

// A Goodbye is a courtesy: it does not hold up the end of the program.
constexpr std::chrono::seconds kGoodbyeTimeout{1};

// The slowest link that is waited for, as the server does; slower over a whole message is a server
// that drips.
constexpr std::uint64_t kSlowestBytesPerSecond = 1000;

// What the system holds and has not sent; half of it leaves the slowest link in 8 s, which is
// within the stall timeout.
constexpr int kUnsentBytes = 16 << 10;

std::string milliseconds_left(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return std::to_string(left) + " ms";
}

}  // namespace

Connection::Connection(asio::any_io_executor executor, const ConnectionOptions& options)
    : options_(options),
      names_(options.name_system),
      socket_(executor),
      deadline_(socket_.tcp_socket()),
      pace_timer_(executor),
      pacer_(options.uplink_bits_per_second),
      backoff_(options.first_backoff, options.longest_backoff, options.seed) {}

asio::awaitable<Status> Connection::ensure_ready(Clock::time_point latest) {
  latest_ = latest;
  if (refused_) co_return *refused_;
  if (quiet_until_ > Clock::now()) {
    co_return Status(StatusCode::kUnavailable, to_string(options_.server) + " asked for a pause; " +
                                                   milliseconds_left(quiet_until_) +
                                                   " of it are left");
  }
  if (ready_) co_return Status::ok();
  if (Clock::now() < retry_at_) {
    co_return Status(StatusCode::kUnavailable,
                     "no connection to " + to_string(options_.server) + " yet (" + last_failure_ +
                         "); it is tried again in " + milliseconds_left(retry_at_));
  }
  Status status = co_await connect();
  if (status.is_ok()) status = co_await handshake();
  if (!status.is_ok()) {
    drop(status);
    if (status.code() == StatusCode::kMismatch) refused_ = status;
    co_return status;
  }
  ready_ = true;
  ++handshakes_;
  co_return status;
}

asio::awaitable<Status> Connection::connect() {
  deadline_.reset();
  closing_ = false;
  const Clock::time_point by = std::min(latest_, Clock::now() + options_.connect_timeout);
  const auto endpoints = co_await names_.resolve(options_.server, by);
  if (!endpoints.is_ok()) {
    co_return endpoints.status().with_context(to_string(options_.server) +
                                              ": looking up the server");
  }
  if (Status exposed = check_exposure(options_.security, *endpoints); !exposed.is_ok()) {
    co_return exposed.with_context(to_string(options_.server));
  }
  deadline_.arm(by);
  const auto [error, endpoint] =
      co_await asio::async_connect(socket_.tcp_socket(), *endpoints, as_result);
  deadline_.disarm();
  if (error) co_return broken(error, "connecting");
  error_code ignored;
  socket_.tcp_socket().set_option(tcp::no_delay(true), ignored);
  // Else the system tells of room only when a third of its buffer is free, and on a slow link a
  // buffer that has grown to megabytes looks like a link that stands still.
  (void)setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes,
                   sizeof(kUnsentBytes));
  deadline_.arm(std::min(latest_, Clock::now() + options_.handshake_timeout));
  const error_code insecure = co_await secure_link(socket_, options_.security, options_.server);
  deadline_.disarm();
  if (insecure) co_return broken(insecure, "securing the connection");
  co_return Status::ok();
}

asio::awaitable<Status> Connection::handshake() {
  const Clock::time_point latest = latest_;
  latest_ = std::min(latest, Clock::now() + options_.handshake_timeout);
  Status status = co_await exchange_hello();
  if (status.is_ok()) status = co_await measure_rtt();
  latest_ = latest;
  co_return status;
}

asio::awaitable<Status> Connection::exchange_hello() {
  const auto token = token_of(options_.security);
  if (!token.is_ok()) co_return token.status();
  const FrameBytes hello = make_hello({.device = options_.device,
                                       .model_identity = options_.model_identity,
                                       .features = kFeatureBoundaryCodecs | kFeatureResend,
                                       .token = *token});
  if (Status status = co_await send(hello); !status.is_ok()) co_return status;
  Incoming frame;
  if (Status status = co_await receive(frame); !status.is_ok()) co_return status;
  if (const fbs::Error* error = frame.envelope->message_as_Error()) co_return take_error(*error);
  const fbs::Welcome* welcome = frame.envelope->message_as_Welcome();
  if (welcome == nullptr) {
    co_return Status(StatusCode::kCorrupt, "the server did not answer Hello with Welcome");
  }
  max_picture_bytes_ = welcome->max_picture_bytes();
  takes_codecs_ = (welcome->features() & kFeatureBoundaryCodecs) != 0;
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
    if (Status status = co_await receive(frame); !status.is_ok()) co_return status;
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
  answer.frame_bytes_up = answer.attachment_bytes_up = 0;
  const auto start = Clock::now();
  if (start >= request.latest) {
    co_return Status(StatusCode::kDeadlineExceeded,
                     to_string(options_.server) + ": no time left to ask");
  }
  const bool limited = request.latest != Clock::time_point::max();
  const FrameBytes head =
      make_request({.request_id = request.request_id,
                    .variant = request.variant,
                    .cut = request.cut,
                    .codec = request.codec,
                    .quality = request.quality,
                    .remaining_ns = limited ? ns_between(start, request.latest) : 0},
                   attachment_bytes);
  const std::uint64_t before = bytes_out_;
  Status status = co_await send(head);
  for (const auto& part : request.attachment) {
    if (status.is_ok()) status = co_await send(part);
  }
  answer.frame_bytes_up = bytes_out_ - before;
  answer.attachment_bytes_up =
      answer.frame_bytes_up - std::min<std::uint64_t>(answer.frame_bytes_up, head.size());
  if (status.is_ok()) status = co_await receive_answer(request, answer);
  answer.wait_ns = ns_between(start, Clock::now());
  const bool answered = status.is_ok() || status.code() == StatusCode::kResourceExhausted ||
                        status.code() == StatusCode::kInvalidArgument ||
                        status.code() == StatusCode::kDeadlineExceeded;
  if (!answered || closing_ || !socket_.is_open()) drop(status);
  co_return status;
}

asio::awaitable<Status> Connection::receive_answer(const Outgoing& request, ServerAnswer& answer) {
  for (;;) {
    Incoming frame;
    if (Status status = co_await receive(frame); !status.is_ok()) co_return status;
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
        breaks_ = 0;
        backoff_.succeeded();
        co_return Status::ok();
      }
      case fbs::Message::Error: {
        const fbs::Error& error = *frame.envelope->message_as_Error();
        Status status = take_error(error);  // its pause holds, whichever request it is about
        if (error.request_id() != 0 && error.request_id() != request.request_id) continue;
        co_return status;
      }
      case fbs::Message::Pong:  // of a Ping given up
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

// The limited uplink: until it would have carried that much.
asio::awaitable<Status> Connection::await_turn(std::size_t bytes) {
  const Clock::time_point carried_at = pacer_.carried_at(bytes, Clock::now());
  pace_timer_.expires_at(std::min(carried_at, latest_));
  (void)co_await pace_timer_.async_wait(as_result);
  if (carried_at <= latest_) co_return Status::ok();
  // Perhaps in the middle of a frame: of no use to anybody any more.
  error_code ignored;
  socket_.close(ignored);
  co_return Status(StatusCode::kDeadlineExceeded,
                   to_string(options_.server) + ": sending: not done in time");
}

// The system takes what it has room for, and each time it does is progress: on a link of a few kB a
// second a whole attachment takes minutes.
asio::awaitable<Status> Connection::send(std::span<const std::byte> bytes) {
  const std::size_t chunk = pacer_.limits() ? pacer_.chunk_bytes() : bytes.size();
  std::size_t paid = 0;  // of the limited uplink, and not yet sent
  while (!bytes.empty()) {
    if (paid == 0) {
      paid = std::min(chunk, bytes.size());
      if (pacer_.limits()) {
        Status status = co_await await_turn(paid);
        if (!status.is_ok()) co_return status;
      }
    }
    deadline_.arm(std::min(latest_, Clock::now() + options_.stall_timeout));
    const auto [error, count] =
        co_await socket_.async_write_some(asio::buffer(bytes.data(), paid), as_result);
    deadline_.disarm();
    bytes_out_ += count;
    if (error) co_return broken(error, "sending");
    bytes = bytes.subspan(count);
    paid -= count;
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::receive_exactly(std::span<std::byte> bytes,
                                                    Clock::time_point by) {
  while (!bytes.empty()) {
    deadline_.arm(std::min(by, Clock::now() + options_.stall_timeout));
    const auto [error, count] =
        co_await socket_.async_read_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    deadline_.disarm();
    if (error) co_return broken(error, "waiting for the server");
    bytes = bytes.subspan(count);
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::receive(Incoming& frame) {
  for (;;) {
    if (Status status = co_await receive_frame(frame); !status.is_ok()) co_return status;
    if (const fbs::Ping* ping = frame.envelope->message_as_Ping()) {
      const FrameBytes pong = make_pong(ping->nonce());
      if (Status status = co_await send(pong); !status.is_ok()) co_return status;
    } else if (frame.envelope->message_as_Goodbye() != nullptr) {
      closing_ = true;  // the answer to what is under way still comes
    } else {
      co_return Status::ok();
    }
  }
}

asio::awaitable<Status> Connection::receive_frame(Incoming& frame) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  // The first byte may take as long as the call may: the server computes meanwhile.
  deadline_.arm(latest_);
  const auto [error, begun] = co_await socket_.async_read_some(asio::buffer(bytes), as_result);
  deadline_.disarm();
  if (error) co_return broken(error, "waiting for the server");
  Clock::time_point by = std::min(latest_, Clock::now() + options_.stall_timeout);
  const auto rest = std::span(bytes).subspan(begun);
  if (Status status = co_await receive_exactly(rest, by); !status.is_ok()) co_return status;
  const auto header = decode_frame_header(bytes, {.max_attachment_bytes = 0});
  if (!header.is_ok()) co_return header.status().with_context("from the server");
  message_storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          header->message_bytes);
  const std::chrono::seconds transfer(header->message_bytes / kSlowestBytesPerSecond);
  by = std::min(latest_, Clock::now() + options_.stall_timeout + transfer);
  if (Status status = co_await receive_exactly(message, by); !status.is_ok()) co_return status;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) co_return envelope.status().with_context("from the server");
  frame.envelope = *envelope;
  co_return Status::ok();
}

Status Connection::broken(const error_code& error, const char* during) const {
  const std::string why = deadline_.passed() ? "no progress in time" : error.message();
  return {deadline_.passed() ? StatusCode::kDeadlineExceeded : code_of_link_error(error),
          to_string(options_.server) + ": " + during + ": " + why};
}

Status Connection::take_error(const fbs::Error& error) {
  const std::chrono::milliseconds asked(error.retry_after_ms());
  if (asked.count() > 0) {
    quiet_until_ = std::max(quiet_until_, Clock::now() + std::min(asked, options_.longest_pause));
  }
  const bool of_one_request = error.code() == fbs::ErrorCode::Busy ||
                              error.code() == fbs::ErrorCode::BadPicture ||
                              error.code() == fbs::ErrorCode::DeadlineExceeded;
  if (!of_one_request) closing_ = true;
  return server_error(error);
}

Status Connection::server_error(const fbs::Error& error) const {
  const std::string text = to_string(options_.server) + ": " + error.text()->str();
  switch (error.code()) {
    case fbs::ErrorCode::VersionMismatch:
    case fbs::ErrorCode::UnknownModel:
    case fbs::ErrorCode::Unauthorized:
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

void Connection::drop(const Status& why) {
  error_code ignored;
  socket_.close(ignored);
  deadline_.disarm();
  const bool mended_at_once = ready_ && breaks_++ == 0;
  retry_at_ = mended_at_once ? Clock::now() : Clock::now() + backoff_.next();
  last_failure_ = why.is_ok() ? "the server said Goodbye" : why.message();
  ready_ = false;
}

}  // namespace cleave::agent
