// SPDX-License-Identifier: Apache-2.0
#include "agent/connection.h"

#include <algorithm>
#include <utility>

#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

std::string milliseconds_left(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return std::to_string(left) + " ms";
}

}  // namespace

Connection::Connection(asio::any_io_executor executor, const ConnectionOptions& options)
    : options_(options),
      link_(executor, options_),
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
  closing_ = false;
  Status status = co_await link_.connect(latest_);
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
  // Perhaps it is being replaced: that is no fault of the picture.
  if (!token.is_ok()) co_return Status(StatusCode::kUnavailable, token.status().message());
  const FrameBytes hello =
      make_hello({.device = options_.device,
                  .model_identity = options_.model_identity,
                  .features = kFeatureBoundaryCodecs | kFeatureCodecTimes | kFeatureResend,
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
  const std::uint64_t before = link_.bytes_sent();
  Status status = co_await send(head);
  for (const auto& part : request.attachment) {
    if (status.is_ok()) status = co_await send(part);
  }
  answer.frame_bytes_up = link_.bytes_sent() - before;
  answer.attachment_bytes_up =
      answer.frame_bytes_up - std::min<std::uint64_t>(answer.frame_bytes_up, head.size());
  if (status.is_ok()) status = co_await receive_answer(request, answer);
  answer.wait_ns = ns_between(start, Clock::now());
  const bool answered = status.is_ok() || status.code() == StatusCode::kResourceExhausted ||
                        status.code() == StatusCode::kInvalidArgument ||
                        status.code() == StatusCode::kDeadlineExceeded;
  if (!answered || closing_ || !link_.is_open()) drop(status);
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

asio::awaitable<void> Connection::close() { co_await link_.end(std::exchange(ready_, false)); }

// The limited uplink: until it would have carried that much.
asio::awaitable<Status> Connection::await_turn(std::size_t bytes) {
  const Clock::time_point carried_at = pacer_.carried_at(bytes, Clock::now());
  pace_timer_.expires_at(std::min(carried_at, latest_));
  (void)co_await pace_timer_.async_wait(as_result);
  if (carried_at <= latest_) co_return Status::ok();
  // Perhaps in the middle of a frame: of no use to anybody any more.
  link_.close();
  co_return Status(StatusCode::kDeadlineExceeded,
                   to_string(options_.server) + ": sending: not done in time");
}

// Of a limited uplink a chunk at a time, each when its turn has come.
asio::awaitable<Status> Connection::send(std::span<const std::byte> bytes) {
  const std::size_t chunk = pacer_.limits() ? pacer_.chunk_bytes() : bytes.size();
  while (!bytes.empty()) {
    const auto next = bytes.first(std::min(chunk, bytes.size()));
    if (pacer_.limits()) {
      Status status = co_await await_turn(next.size());
      if (!status.is_ok()) co_return status;
    }
    Status status = co_await link_.send(next, latest_);
    if (!status.is_ok()) co_return status;
    bytes = bytes.subspan(next.size());
  }
  co_return Status::ok();
}

asio::awaitable<Status> Connection::receive(Incoming& frame) {
  for (;;) {
    // The first byte may take as long as the call may: the server computes meanwhile.
    Status status = co_await link_.receive_frame(frame, 0, latest_, latest_);
    if (!status.is_ok()) co_return status;
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

Status Connection::take_error(const fbs::Error& error) {
  const std::chrono::milliseconds asked(error.retry_after_ms());
  if (asked.count() > 0) {
    quiet_until_ = std::max(quiet_until_, Clock::now() + std::min(asked, options_.longest_pause));
  }
  const bool of_one_request = error.code() == fbs::ErrorCode::Busy ||
                              error.code() == fbs::ErrorCode::BadPicture ||
                              error.code() == fbs::ErrorCode::DeadlineExceeded;
  if (!of_one_request) closing_ = true;
  return link_.refusal(error);
}

void Connection::drop(const Status& why) {
  link_.close();
  const bool mended_at_once = ready_ && breaks_++ == 0;
  retry_at_ = mended_at_once ? Clock::now() : Clock::now() + backoff_.next();
  last_failure_ = why.is_ok() ? "the server said Goodbye" : why.message();
  ready_ = false;
}

}  // namespace cleave::agent
