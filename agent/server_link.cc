// SPDX-License-Identifier: Apache-2.0
#include "agent/server_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <string>

#include "schemas/frame.h"
#include "schemas/transport/tls_error.h"

namespace cleave::agent {
namespace {

// The slowest link that is waited for, as the server does; slower over a whole message is a server
// that drips.
constexpr std::uint64_t kSlowestBytesPerSecond = 1000;

// What the system holds and has not sent; half of it leaves the slowest link in 8 s, which is
// within the stall timeout.
constexpr int kUnsentBytes = 16 << 10;

void set_up(Stream& stream) {
  error_code ignored;
  stream.tcp_socket().set_option(tcp::no_delay(true), ignored);
  // Else the system tells of room only when a third of its buffer is free, and on a slow link a
  // buffer that has grown to megabytes looks like a link that stands still.
  (void)setsockopt(stream.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes,
                   sizeof(kUnsentBytes));
}

}  // namespace

ServerLink::ServerLink(const asio::any_io_executor& executor, const ConnectionOptions& options)
    : options_(options),
      names_(options.name_system),
      stream_(executor),
      read_deadline_(stream_.tcp_socket()),
      write_deadline_(stream_.tcp_socket()) {}

asio::awaitable<Status> ServerLink::connect(Clock::time_point latest) {
  read_deadline_.reset();
  write_deadline_.reset();
  secured_ = false;
  distrusted_ = false;
  met_stranger_ = false;
  open_to_others_ = false;
  max_message_bytes_ = kMaxMessageToAgentBytes;
  reached_ = false;
  const Clock::time_point by = std::min(latest, Clock::now() + options_.connect_timeout);
  const auto endpoints = co_await names_.resolve(options_.server, by);
  if (!endpoints.is_ok()) {
    co_return endpoints.status().with_context(to_string(options_.server) +
                                              ": looking up the server");
  }
  if (Status exposed = check_exposure(options_.security, *endpoints); !exposed.is_ok()) {
    distrusted_ = true;
    co_return exposed.with_context(to_string(options_.server));
  }
  open_to_others_ = agent::is_open_to_others(options_.security, *endpoints);
  read_deadline_.arm(by);
  const auto [error, endpoint] =
      co_await asio::async_connect(stream_.tcp_socket(), *endpoints, as_result);
  read_deadline_.disarm();
  if (error) co_return broken(error, "connecting", read_deadline_);
  reached_ = true;
  set_up(stream_);
  co_return co_await secure(latest);
}

asio::awaitable<Status> ServerLink::secure(Clock::time_point latest) {
  read_deadline_.arm(std::min(latest, Clock::now() + options_.handshake_timeout));
  const error_code insecure = co_await secure_link(stream_, options_.security, options_.server);
  read_deadline_.disarm();
  if (insecure) co_return broken(insecure, "securing the connection", read_deadline_);
  secured_ = true;
  co_return Status::ok();
}

asio::awaitable<Status> ServerLink::send(std::span<const std::byte> bytes,
                                         Clock::time_point latest) {
  Gather all;
  all.add(bytes);
  while (all.bytes_left() > 0) {
    Status status = co_await send_some(all, all.bytes_left(), latest);
    if (!status.is_ok()) co_return status;
  }
  co_return Status::ok();
}

asio::awaitable<Status> ServerLink::send_some(Gather& bytes, std::size_t limit,
                                              Clock::time_point latest) {
  Gather::Pieces pieces;
  const std::size_t used = bytes.next(limit, pieces);
  write_deadline_.arm(std::min(latest, Clock::now() + options_.stall_timeout));
  const auto [error, count] = co_await stream_.async_write_some(
      std::span<const asio::const_buffer>(pieces.data(), used), as_result);
  write_deadline_.disarm();
  bytes_sent_ += count;
  bytes.advance(count);
  if (error) co_return broken(error, "sending", write_deadline_);
  co_return Status::ok();
}

std::uint64_t ServerLink::bytes_unacknowledged() {
  int bytes = 0;
  if (!is_open() || ioctl(stream_.native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
  return static_cast<std::uint64_t>(std::max(bytes, 0));
}

asio::awaitable<Status> ServerLink::receive(std::span<std::byte> bytes, Clock::time_point latest) {
  while (!bytes.empty()) {
    read_deadline_.arm(std::min(latest, Clock::now() + options_.stall_timeout));
    const auto [error, count] =
        co_await stream_.async_read_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    read_deadline_.disarm();
    if (error) co_return broken(error, "waiting for the server", read_deadline_);
    bytes_received_ += count;
    bytes = bytes.subspan(count);
  }
  co_return Status::ok();
}

asio::awaitable<Status> ServerLink::receive_frame(Incoming& frame,
                                                  std::uint64_t max_attachment_bytes,
                                                  Clock::time_point first_by,
                                                  Clock::time_point latest) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  read_deadline_.arm(std::min(first_by, latest));
  const auto [error, begun] = co_await stream_.async_read_some(asio::buffer(bytes), as_result);
  read_deadline_.disarm();
  if (error) co_return broken(error, "waiting for the server", read_deadline_);
  bytes_received_ += begun;
  Clock::time_point by = std::min(latest, Clock::now() + options_.stall_timeout);
  const auto rest = std::span(bytes).subspan(begun);
  if (Status status = co_await receive(rest, by); !status.is_ok()) co_return status;
  const auto header = decode_frame_header(bytes, {.max_message_bytes = max_message_bytes_,
                                                  .max_attachment_bytes = max_attachment_bytes});
  if (!header.is_ok()) co_return header.status().with_context("from the server");
  message_storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          header->message_bytes);
  by = std::min(latest,
                Clock::now() + options_.stall_timeout + transfer_time(header->message_bytes));
  if (Status status = co_await receive(message, by); !status.is_ok()) co_return status;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) co_return envelope.status().with_context("from the server");
  Status attachment = check_attachment(**envelope, header->attachment_bytes);
  if (!attachment.is_ok()) co_return attachment.with_context("from the server");
  frame = {*envelope, header->attachment_bytes};
  co_return Status::ok();
}

Clock::duration ServerLink::transfer_time(std::uint64_t bytes) {
  return std::chrono::seconds(bytes / kSlowestBytesPerSecond);
}

asio::awaitable<void> ServerLink::end(bool politely, Clock::time_point latest) {
  if (politely) {
    const FrameBytes goodbye = make_goodbye("done");
    (void)co_await send(goodbye, latest);
  }
  error_code ignored;
  stream_.shutdown(tcp::socket::shutdown_both, ignored);
  close();
}

void ServerLink::close() {
  error_code ignored;
  stream_.close(ignored);
  read_deadline_.disarm();
  write_deadline_.disarm();
}

// The other direction's deadline closes the link as well; that is a break for this one.
Status ServerLink::broken(const error_code& error, const char* during, const Deadline& deadline) {
  distrusted_ = !deadline.passed() && is_distrust(error);
  const std::string why = deadline.passed() ? "no progress in time" : error.message();
  const StatusCode code =
      deadline.passed() ? StatusCode::kDeadlineExceeded : code_of_link_error(error, secured_);
  met_stranger_ = !secured_ && code == StatusCode::kMismatch;
  return {code, to_string(options_.server) + ": " + during + ": " + why};
}

Status ServerLink::refusal(const fbs::Error& error) const {
  const std::string text = to_string(options_.server) + ": " + error.text()->str();
  switch (error.code()) {
    case fbs::ErrorCode::VersionMismatch:
    case fbs::ErrorCode::UnknownModel:
    case fbs::ErrorCode::Unauthorized:
      return {StatusCode::kMismatch, text};
    case fbs::ErrorCode::NotFound:
      return {StatusCode::kNotFound, text};
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

}  // namespace cleave::agent
