// SPDX-License-Identifier: Apache-2.0
#include "agent/fetch_client.h"

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <deque>
#include <utility>

#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

// Small, so that what a broken connection loses is little and a server's answers to others wait for
// little; as many at once as fill a link of 80 Mbit/s over 100 ms.
constexpr std::uint32_t kPieceBytes = 64u << 10;
constexpr std::size_t kMaxPending = 16;

constexpr std::chrono::seconds kGoodbyeTimeout{1};
constexpr std::uint64_t kSlowestBytesPerSecond = 1000;

Clock::duration transfer_time(std::uint64_t bytes) {
  return std::chrono::seconds(bytes / kSlowestBytesPerSecond);
}

}  // namespace

// Which bytes were asked for and which have come.
class FetchClient::Transfer {
 public:
  Transfer(const FetchWanted& wanted, const PieceSink& sink)
      : wanted_(wanted),
        sink_(sink),
        total_bytes_(wanted.total_bytes),
        asked_(wanted.offset),
        taken_(wanted.offset) {}

  [[nodiscard]] bool is_done() const { return total_bytes_ > 0 && taken_ == total_bytes_; }
  // Until the first piece says how much there is, one is asked for.
  [[nodiscard]] bool may_ask() const {
    if (total_bytes_ == 0) return pending_.empty();
    return pending_.size() < kMaxPending && asked_ < total_bytes_;
  }
  [[nodiscard]] const Pending& next(std::uint64_t fetch_id) {
    const std::uint64_t left = total_bytes_ == 0 ? kPieceBytes : total_bytes_ - asked_;
    const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kPieceBytes));
    pending_.push_back({fetch_id, asked_, bytes});
    asked_ += bytes;
    return pending_.back();
  }
  [[nodiscard]] const Sha256Digest& sha256() const { return wanted_.sha256; }
  [[nodiscard]] std::uint64_t awaited_id() const { return pending_.front().fetch_id; }

  [[nodiscard]] bool has_more_pending() const { return pending_.size() > 1; }

  // Whether the piece is the one that was asked for.
  Status check(const fbs::Piece& piece, std::uint64_t attachment_bytes) {
    const Pending& asked = pending_.front();
    const std::uint64_t total = piece.total_bytes();
    const auto wrong = [](const char* what) {
      return Status(StatusCode::kCorrupt, std::string("the server sent a piece ") + what);
    };
    if (piece.fetch_id() != asked.fetch_id) return wrong("that was not asked for next");
    if (total_bytes_ == 0 && total > wanted_.max_total_bytes) return wrong("of too long a whole");
    if (total_bytes_ != 0 && total != total_bytes_) return wrong("of a whole of another length");
    if (total <= asked.offset) return wrong("that lies behind its end");
    if (attachment_bytes != std::min<std::uint64_t>(asked.bytes, total - asked.offset)) {
      return wrong("of another length than asked for");
    }
    total_bytes_ = total;
    asked_ = std::min(asked_, total);
    return Status::ok();
  }
  Status take(std::span<const std::byte> bytes) {
    pending_.pop_front();
    taken_ += bytes.size();
    return sink_(total_bytes_, bytes);
  }

 private:
  const FetchWanted& wanted_;
  const PieceSink& sink_;
  std::uint64_t total_bytes_;  // 0: not known yet
  std::uint64_t asked_;
  std::uint64_t taken_;
  std::deque<Pending> pending_;
};

FetchClient::FetchClient(asio::any_io_executor executor, const ConnectionOptions& options,
                         std::string model_name)
    : options_(options),
      model_name_(std::move(model_name)),
      names_(options.name_system),
      socket_(executor),
      deadline_(socket_.tcp_socket()) {}

asio::awaitable<Status> FetchClient::ensure_connected() {
  if (ready_) co_return Status::ok();
  Status status = co_await connect();
  if (status.is_ok()) status = co_await greet();
  ready_ = status.is_ok();
  if (!ready_) drop();
  co_return status;
}

asio::awaitable<Status> FetchClient::connect() {
  deadline_.reset();
  retry_after_ = {};
  const Clock::time_point by = Clock::now() + options_.connect_timeout;
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
  deadline_.arm(options_.handshake_timeout);
  const error_code insecure = co_await secure_link(socket_, options_.security, options_.server);
  deadline_.disarm();
  if (insecure) co_return broken(insecure, "securing the connection");
  co_return Status::ok();
}

asio::awaitable<Status> FetchClient::greet() {
  const ModelIdentity none{};
  const auto token = token_of(options_.security);
  if (!token.is_ok()) co_return token.status();
  const FrameBytes hello = make_hello({.device = options_.device,
                                       .model_identity = none,
                                       .lowest_version = kLowestProtocolVersion,
                                       .features = kFeatureFetch,
                                       .token = *token,
                                       .model_name = model_name_});
  if (Status status = co_await send(hello); !status.is_ok()) co_return status;
  Incoming frame;
  if (Status status = co_await receive(frame); !status.is_ok()) co_return status;
  const Status status = read_welcome(*frame.envelope);
  if (status.is_ok() || model_name_.empty()) co_return status;
  co_return status.with_context("model " + model_name_);
}

Status FetchClient::read_welcome(const fbs::Envelope& envelope) {
  if (const fbs::Error* error = envelope.message_as_Error()) return refused(*error);
  const fbs::Welcome* welcome = envelope.message_as_Welcome();
  if (welcome == nullptr) {
    return {StatusCode::kCorrupt, "the server did not answer Hello with Welcome"};
  }
  if ((welcome->features() & kFeatureFetch) == 0) {
    return {StatusCode::kMismatch,
            to_string(options_.server) + ": this server does not give models to devices"};
  }
  current_model_.reset();
  if (welcome->current_model() != nullptr) {
    current_model_.emplace();
    std::ranges::copy(*welcome->current_model(), current_model_->begin());
  }
  if (!model_name_.empty() && !current_model_) {
    return {StatusCode::kCorrupt, "the server did not say which model of the name is current"};
  }
  return Status::ok();
}

asio::awaitable<Status> FetchClient::fetch(const FetchWanted& wanted, const PieceSink& sink) {
  Status status = co_await ensure_connected();
  if (!status.is_ok()) co_return status;
  Transfer transfer(wanted, sink);
  refused_only_ = false;
  status = co_await run(transfer);
  if (!status.is_ok() && !refused_only_) drop();
  co_return status;
}

asio::awaitable<Status> FetchClient::run(Transfer& transfer) {
  Status status;
  while (status.is_ok() && !transfer.is_done()) {
    status = co_await ask(transfer);
    if (status.is_ok()) status = co_await take_piece(transfer);
  }
  co_return status;
}

asio::awaitable<Status> FetchClient::ask(Transfer& transfer) {
  while (transfer.may_ask()) {
    const Pending& next = transfer.next(next_fetch_id_++);
    const FrameBytes frame = make_fetch({.fetch_id = next.fetch_id,
                                         .sha256 = transfer.sha256(),
                                         .offset = next.offset,
                                         .bytes = next.bytes});
    if (Status status = co_await send(frame); !status.is_ok()) co_return status;
  }
  co_return Status::ok();
}

asio::awaitable<Status> FetchClient::take_piece(Transfer& transfer) {
  Incoming frame;
  if (Status status = co_await receive(frame); !status.is_ok()) co_return status;
  if (const fbs::Error* error = frame.envelope->message_as_Error()) {
    // The first thing that was asked for: nothing else is under way, and the next may be had.
    refused_only_ = error->request_id() == transfer.awaited_id() && !transfer.has_more_pending();
    co_return refused(*error);
  }
  const fbs::Piece* piece = frame.envelope->message_as_Piece();
  if (piece == nullptr) {
    co_return Status(StatusCode::kCorrupt, "the server sent an unexpected message");
  }
  if (Status status = transfer.check(*piece, frame.attachment_bytes); !status.is_ok()) {
    co_return status;
  }
  piece_.resize(static_cast<std::size_t>(frame.attachment_bytes));
  const Clock::time_point by =
      Clock::now() + options_.stall_timeout + transfer_time(frame.attachment_bytes);
  if (Status status = co_await receive_exactly(piece_, by); !status.is_ok()) co_return status;
  co_return transfer.take(piece_);
}

asio::awaitable<void> FetchClient::close() {
  if (ready_) {
    const FrameBytes goodbye = make_goodbye("done");
    deadline_.arm(kGoodbyeTimeout);
    (void)co_await socket_.async_write_some(asio::buffer(goodbye), as_result);
    deadline_.disarm();
  }
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  drop();
}

asio::awaitable<Status> FetchClient::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    deadline_.arm(options_.stall_timeout);
    const auto [error, count] =
        co_await socket_.async_write_some(asio::buffer(bytes.data(), bytes.size()), as_result);
    deadline_.disarm();
    if (error) co_return broken(error, "sending");
    bytes = bytes.subspan(count);
  }
  co_return Status::ok();
}

asio::awaitable<Status> FetchClient::receive_exactly(std::span<std::byte> bytes,
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

asio::awaitable<Status> FetchClient::receive(Incoming& frame) {
  for (;;) {
    if (Status status = co_await receive_frame(frame); !status.is_ok()) co_return status;
    if (const fbs::Ping* ping = frame.envelope->message_as_Ping()) {
      const FrameBytes pong = make_pong(ping->nonce());
      if (Status status = co_await send(pong); !status.is_ok()) co_return status;
    } else if (frame.envelope->message_as_Goodbye() != nullptr) {
      co_return Status(StatusCode::kUnavailable,
                       to_string(options_.server) + ": the server is shutting down");
    } else {
      co_return Status::ok();
    }
  }
}

asio::awaitable<Status> FetchClient::receive_frame(Incoming& frame) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  const Clock::time_point soon = Clock::now() + options_.stall_timeout;
  if (Status status = co_await receive_exactly(bytes, soon); !status.is_ok()) co_return status;
  const auto header = decode_frame_header(bytes, {.max_attachment_bytes = kPieceBytes});
  if (!header.is_ok()) co_return header.status().with_context("from the server");
  message_storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(message_storage_.data()),
                          header->message_bytes);
  const Clock::time_point by =
      Clock::now() + options_.stall_timeout + transfer_time(header->message_bytes);
  if (Status status = co_await receive_exactly(message, by); !status.is_ok()) co_return status;
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) co_return envelope.status().with_context("from the server");
  Status attachment = check_attachment(**envelope, header->attachment_bytes);
  if (!attachment.is_ok()) co_return attachment.with_context("from the server");
  frame = {*envelope, header->attachment_bytes};
  co_return Status::ok();
}

Status FetchClient::broken(const error_code& error, const char* during) const {
  const std::string why = deadline_.passed() ? "no progress in time" : error.message();
  return {deadline_.passed() ? StatusCode::kDeadlineExceeded : code_of_link_error(error),
          to_string(options_.server) + ": " + during + ": " + why};
}

Status FetchClient::refused(const fbs::Error& error) {
  retry_after_ =
      std::min(std::chrono::milliseconds(error.retry_after_ms()), options_.longest_pause);
  const std::string text = to_string(options_.server) + ": " + error.text()->str();
  switch (error.code()) {
    case fbs::ErrorCode::VersionMismatch:
    case fbs::ErrorCode::UnknownModel:
    case fbs::ErrorCode::Unauthorized:
      return {StatusCode::kMismatch, text};
    case fbs::ErrorCode::NotFound:
      return {StatusCode::kNotFound, text};
    case fbs::ErrorCode::BadRequest:
      return {StatusCode::kInvalidArgument, text};
    case fbs::ErrorCode::Busy:
      return {StatusCode::kResourceExhausted, text};
    default:
      return {StatusCode::kUnavailable, text};
  }
}

void FetchClient::drop() {
  error_code ignored;
  socket_.close(ignored);
  deadline_.disarm();
  ready_ = false;
}

}  // namespace cleave::agent
