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
    : executor_(std::move(executor)),
      options_(std::make_shared<const ConnectionOptions>(options)),
      state_(std::make_shared<LinkState>()),
      connecting_(executor_),
      backoff_(options.first_backoff, options.longest_backoff, options.seed) {}

Connection::~Connection() {
  if (channel_ != nullptr) channel_->close({StatusCode::kUnavailable, "nobody waits any more"});
}

bool Connection::takes_codecs() const { return (server_.features & kFeatureBoundaryCodecs) != 0; }

bool Connection::takes_model_jpegs() const {
  return (server_.features & kFeatureJpegModelSize) != 0;
}

// Why the server is offered nothing at this time; ok: it is, over the connection or a new one.
Status Connection::not_now() const {
  if (refused_) return *refused_;
  const std::string server = to_string(options_->server);
  if (quiet_until() > Clock::now()) {
    return {StatusCode::kUnavailable,
            server + " asked for a pause; " + milliseconds_left(quiet_until()) + " of it are left"};
  }
  if (!is_open() && Clock::now() < retry_at_) {
    return {StatusCode::kUnavailable, "no connection to " + server + " yet (" + last_failure_ +
                                          "); it is tried again in " +
                                          milliseconds_left(retry_at_)};
  }
  return Status::ok();
}

asio::awaitable<Status> Connection::ensure_ready(Clock::time_point latest) {
  leave_if_over(channel_.get());
  Status status = not_now();
  if (!status.is_ok() || is_open()) co_return status;
  const bool first = co_await connecting_.enter(latest);
  if (!first) {
    co_return Status(StatusCode::kDeadlineExceeded,
                     to_string(options_->server) + ": connecting: not done in time");
  }
  leave_if_over(channel_.get());
  status = not_now();  // another has tried meanwhile
  if (status.is_ok() && !is_open()) status = co_await connect(latest);
  connecting_.leave();
  co_return status;
}

asio::awaitable<Status> Connection::connect(Clock::time_point latest) {
  const auto channel = std::make_shared<RequestChannel>(executor_, options_, state_);
  Status status = co_await channel->open(latest);
  if (!status.is_ok()) {
    leave_channel(status, /*was_ready=*/false);
    if (channel->met_stranger()) {
      retry_at_ = Clock::now() + backoff_.longest();
      co_return Status(StatusCode::kUnavailable, status.message());
    }
    if (status.code() == StatusCode::kMismatch) refused_ = status;
    co_return status;
  }
  server_ = channel->server();
  channel_ = channel;
  ++handshakes_;
  co_return status;
}

asio::awaitable<Status> Connection::exchange(const Outgoing& request, ServerAnswer& answer) {
  answer.frame_bytes_up = answer.attachment_bytes_up = 0;
  Status status = co_await ensure_ready(request.latest);
  if (!status.is_ok()) co_return status;
  if (Clock::now() >= request.latest) {
    co_return Status(StatusCode::kDeadlineExceeded,
                     to_string(options_->server) + ": no time left to ask");
  }
  const auto channel = channel_;
  status = co_await channel->exchange(request, answer);
  if (status.is_ok()) {
    breaks_ = 0;
    backoff_.succeeded();
  }
  leave_if_over(channel.get());
  co_return status;
}

asio::awaitable<void> Connection::close() {
  const auto channel = std::exchange(channel_, nullptr);
  if (channel != nullptr) co_await channel->end();
}

// Once for each, however many waited for it.
void Connection::leave_if_over(const RequestChannel* channel) {
  if (channel == nullptr || channel != channel_.get() || channel->takes_requests()) return;
  leave_channel(channel->ended_by(), /*was_ready=*/true);
}

// What is still under way on it keeps it.
void Connection::leave_channel(const Status& why, bool was_ready) {
  const bool mended_at_once = was_ready && breaks_++ == 0;
  retry_at_ = mended_at_once ? Clock::now() : Clock::now() + backoff_.next();
  last_failure_ = why.message();
  channel_.reset();
}

}  // namespace cleave::agent
