// SPDX-License-Identifier: Apache-2.0
#include "agent/fetch_client.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "agent/handshake.h"
#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

// Small, so that what a broken connection loses is little and a server's answers to others wait for
// little; as many at once as fill a link of 80 Mbit/s over 100 ms.
constexpr std::uint32_t kPieceBytes = 64u << 10;
constexpr std::size_t kMaxPending = 16;
// A server closes a connection that was silent for longer (wire_format.md has 60 s).
constexpr std::chrono::seconds kMostIdle{20};

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
  [[nodiscard]] bool may_ask(std::size_t most_pending) const {
    if (total_bytes_ == 0) return pending_.empty();
    return pending_.size() < most_pending && asked_ < total_bytes_;
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

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  void forget_awaited() { pending_.pop_front(); }

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
      link_(executor, options_),
      most_pending_(kMaxPending) {}

asio::awaitable<Status> FetchClient::ensure_connected() {
  retry_after_ = {};
  if (ready_) co_return Status::ok();
  Status status = co_await link_.connect(Clock::time_point::max());
  if (link_.is_open_to_others() && !std::exchange(told_unencrypted_, true)) {
    warn_unencrypted(options_.log, options_.server);
  }
  if (status.is_ok()) status = co_await greet();
  ready_ = status.is_ok();
  if (!ready_) drop();
  co_return status;
}

asio::awaitable<Status> FetchClient::greet() {
  const ModelIdentity none{};
  const auto token = token_of(options_.security);
  if (!token.is_ok()) co_return Status(StatusCode::kUnavailable, token.status().message());
  const FrameBytes hello = make_hello({.device = options_.device,
                                       .model_identity = none,
                                       .lowest_version = kSpokenVersions.lowest,
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
  CLEAVE_RETURN_IF_ERROR(check_version(*welcome, options_.server));
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
  if (!status.is_ok() && (!refused_only_ || retry_after_ > kMostIdle)) drop();
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
  while (transfer.may_ask(most_pending_)) {
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
    const bool is_busy = error->code() == fbs::ErrorCode::Busy;
    const bool is_awaited = error->request_id() == transfer.awaited_id();
    Status refusal = refused(*error);
    if (is_awaited) {
      transfer.forget_awaited();
      refused_only_ = transfer.pending() == 0;
      if (is_busy) refused_only_ = co_await skip_pending(transfer);
    }
    if (is_busy) most_pending_ = 1;
    co_return refusal;
  }
  const fbs::Piece* piece = frame.envelope->message_as_Piece();
  if (piece == nullptr) {
    co_return Status(StatusCode::kCorrupt, "the server sent an unexpected message");
  }
  if (Status status = transfer.check(*piece, frame.attachment_bytes); !status.is_ok()) {
    co_return status;
  }
  if (Status status = co_await receive_attachment(frame); !status.is_ok()) co_return status;
  most_pending_ = std::min(most_pending_ + 1, kMaxPending);
  co_return transfer.take(piece_);
}

// Behind a refusal the others are refused as well, or come too early to be of use. Gives whether
// they were answered in turn, and soon: then the connection is good for more.
asio::awaitable<bool> FetchClient::skip_pending(Transfer& transfer) {
  const Clock::time_point latest = Clock::now() + options_.stall_timeout +
                                   ServerLink::transfer_time(kPieceBytes * transfer.pending());
  while (transfer.pending() > 0) {
    Incoming frame;
    if (!(co_await receive(frame, latest)).is_ok()) co_return false;
    const fbs::Error* error = frame.envelope->message_as_Error();
    const fbs::Piece* piece = frame.envelope->message_as_Piece();
    if (error == nullptr && piece == nullptr) co_return false;
    const std::uint64_t id = error != nullptr ? error->request_id() : piece->fetch_id();
    if (id != transfer.awaited_id()) co_return false;
    if (error != nullptr) note_pause(*error);
    if (!(co_await receive_attachment(frame, latest)).is_ok()) co_return false;
    skipped_bytes_ += frame.attachment_bytes;
    transfer.forget_awaited();
  }
  co_return true;
}

asio::awaitable<Status> FetchClient::receive_attachment(const Incoming& frame,
                                                        Clock::time_point latest) {
  piece_.resize(static_cast<std::size_t>(frame.attachment_bytes));
  const Clock::time_point by =
      Clock::now() + options_.stall_timeout + ServerLink::transfer_time(frame.attachment_bytes);
  return link_.receive(piece_, std::min(by, latest));
}

asio::awaitable<void> FetchClient::close() {
  co_await link_.end(std::exchange(ready_, false), Clock::now() + kGoodbyeTimeout);
}

asio::awaitable<Status> FetchClient::send(std::span<const std::byte> bytes) {
  return link_.send(bytes, Clock::time_point::max());
}

asio::awaitable<Status> FetchClient::receive(Incoming& frame, Clock::time_point latest) {
  // For all of them: a server that asks and asks gives nothing.
  const Clock::time_point soon = std::min(Clock::now() + options_.stall_timeout, latest);
  for (;;) {
    Status status = co_await link_.receive_frame(frame, kPieceBytes, soon, latest);
    if (!status.is_ok()) co_return status;
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

Status FetchClient::refused(const fbs::Error& error) {
  note_pause(error);
  return link_.refusal(error);
}

void FetchClient::note_pause(const fbs::Error& error) {
  const std::chrono::milliseconds asked(error.retry_after_ms());
  retry_after_ = std::max(retry_after_, std::min(asked, options_.longest_pause));
}

void FetchClient::drop() {
  link_.close();
  ready_ = false;
}

}  // namespace cleave::agent
