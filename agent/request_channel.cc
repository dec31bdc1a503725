// SPDX-License-Identifier: Apache-2.0
#include "agent/request_channel.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "agent/request_ids.h"
#include "schemas/protocol.h"

namespace cleave::agent {
namespace {

constexpr const char* kSaidGoodbye = "the server said Goodbye";

// A server that asks faster than its answers can be sent is no server.
constexpr std::size_t kMostControlFrames = 64;

// They answer one request; after every other error the server closes.
bool is_of_one_request(fbs::ErrorCode code) {
  return code == fbs::ErrorCode::Busy || code == fbs::ErrorCode::BadPicture ||
         code == fbs::ErrorCode::DeadlineExceeded || code == fbs::ErrorCode::Cancelled;
}

// What one request's refusal that ends the connection is to the others on it.
Status broken_by(const Status& why) {
  switch (why.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kResourceExhausted:
    case StatusCode::kNotFound:
      return {StatusCode::kUnavailable, why.message()};
    default:
      return why;
  }
}

}  // namespace

RequestChannel::RequestChannel(asio::any_io_executor executor,
                               std::shared_ptr<const ConnectionOptions> options,
                               std::shared_ptr<LinkState> state)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      state_(std::move(state)),
      link_(executor_, *options_),
      pacer_(options_->uplink_bits_per_second),
      sending_(executor_),
      liveness_(options_->ping_after, options_->gone_after),
      watch_timer_(executor_),
      pace_timer_(executor_),
      beat_timer_(executor_) {}

asio::awaitable<Status> RequestChannel::open(Clock::time_point latest) {
  const auto self = shared_from_this();
  const Status connected = co_await link_.connect(latest);
  if (link_.is_open_to_others() && !std::exchange(state_->told_unencrypted, true)) {
    warn_unencrypted(options_->log, options_->server);
  }
  Status greeted;
  if (connected.is_ok()) {
    greeted = co_await shake_hands(link_, *options_, *state_, latest, server_);
  }
  if (connected.is_ok() && greeted.is_ok() && server_.says_goodbye) {
    greeted = Status(StatusCode::kUnavailable, kSaidGoodbye);
  }
  Status status = count_opening(connected, greeted);
  if (!status.is_ok()) {
    ended_by_ = status;
    link_.close();
    co_return status;
  }
  is_open_ = true;
  places_.emplace(executor_,
                  std::clamp<std::size_t>(server_.max_inflight, 1,
                                          std::max<std::size_t>(options_->max_in_flight, 1)));
  if (server_.heartbeat.count() > 0) {
    begin_reading();  // the Pongs
    spawn(&RequestChannel::beat);
  }
  co_return status;
}

asio::awaitable<Status> RequestChannel::exchange(const Outgoing& request, ServerAnswer& answer) {
  const auto self = shared_from_this();
  const auto start = Clock::now();
  const bool has_place = co_await places_->enter(request.latest);
  if (!has_place) co_return is_open_ ? over_time("waiting for its turn") : ended_by_;
  PendingRequest pending(executor_, request.request_id);
  if (!pending_.add(pending)) {
    places_->leave();
    co_return Status(StatusCode::kInternal, "a request of this id is under way");
  }
  begin_waiting();
  answer.queued_ns = ns_between(start, Clock::now());
  Status status = co_await ask(request, pending, answer);
  count_end(pending, answer, status);
  pending_.remove(pending);
  places_->leave();
  if (pending_.empty()) watch_timer_.cancel();
  end_if_drained();
  co_return status;
}

asio::awaitable<Status> RequestChannel::ask(const Outgoing& request, PendingRequest& pending,
                                            ServerAnswer& answer) {
  const auto queued = Clock::now();
  const bool has_turn = co_await sending_.enter(request.latest);
  if (!has_turn) {
    co_return pending.done.is_set() ? pending.status : over_time("waiting for its turn");
  }
  if (draining_) {  // it would be refused
    sending_.leave();
    co_return ended_by_;
  }
  const auto start = Clock::now();
  answer.queued_ns += ns_between(queued, start);
  Status status = co_await send(request, answer);
  sending_.leave();
  if (status.is_ok()) {
    const bool ended = co_await pending.done.wait(request.latest);
    status = ended ? pending.status : give_up(pending);
  } else if (pending.done.is_set() && status.code() != StatusCode::kDeadlineExceeded) {
    status = pending.status;  // a server that refuses may say why before it closes
  }
  const bool ended = pending.done.is_set();
  answer.wait_ns = ns_between(start, ended ? pending.answered_at : Clock::now());
  answer.scores = std::move(pending.scores);
  answer.times = pending.times;
  co_return status;
}

// REQUIRES: it is this request's turn.
asio::awaitable<Status> RequestChannel::send(const Outgoing& request, ServerAnswer& answer) {
  std::uint64_t attachment_bytes = 0;
  for (const auto& part : request.attachment) attachment_bytes += part.size();
  const bool limited = request.latest != Clock::time_point::max();
  const auto now = Clock::now();
  if (now >= request.latest) co_return over_time("no time left to ask");
  const FrameBytes head =
      make_request({.request_id = request.request_id,
                    .variant = request.variant,
                    .cut = request.cut,
                    .codec = request.codec,
                    .quality = request.quality,
                    .remaining_ns = limited ? ns_between(now, request.latest) : 0},
                   attachment_bytes);
  Gather frame;
  frame.add(head);
  for (const auto& part : request.attachment) frame.add(part);
  answer.bytes_ahead = link_.bytes_unacknowledged();
  const std::uint64_t before = link_.bytes_sent();
  Status status = co_await write(frame, request.latest);
  answer.frame_bytes_up = link_.bytes_sent() - before;
  answer.attachment_bytes_up =
      answer.frame_bytes_up - std::min<std::uint64_t>(answer.frame_bytes_up, head.size());
  co_return status;
}

// All of it, of a limited uplink a chunk at a time, each when its turn has come. What breaks off in
// the middle of a frame ends the connection.
asio::awaitable<Status> RequestChannel::write(Gather& bytes, Clock::time_point latest) {
  bool begun = false;
  while (bytes.bytes_left() > 0) {
    const std::size_t chunk = pacer_.limits() ? pacer_.chunk_bytes() : bytes.bytes_left();
    Status status;
    if (pacer_.limits()) {
      status = co_await await_pace(std::min(chunk, bytes.bytes_left()), latest, begun);
    }
    // A chunk whose turn has come goes whole.
    const std::size_t left_after = bytes.bytes_left() - std::min(chunk, bytes.bytes_left());
    while (status.is_ok() && bytes.bytes_left() > left_after) {
      status = co_await link_.send_some(bytes, bytes.bytes_left() - left_after, latest);
      begun = true;
    }
    if (status.is_ok()) continue;
    const bool own_time = status.code() == StatusCode::kDeadlineExceeded;
    if (begun) close(own_time ? Status(StatusCode::kUnavailable, status.message()) : status);
    co_return status;
  }
  co_return Status::ok();
}

// The limited uplink: until it would have carried that much.
asio::awaitable<Status> RequestChannel::await_pace(std::size_t bytes, Clock::time_point latest,
                                                   bool begun) {
  const Clock::time_point carried_at = pacer_.carried_at(bytes, Clock::now());
  pace_timer_.expires_at(std::min(carried_at, latest));
  (void)co_await pace_timer_.async_wait(as_result);
  if (!is_open_) co_return ended_by_;
  if (carried_at <= latest) co_return Status::ok();
  co_return over_time(begun ? "sending: not done in time" : "no time left to send");
}

Status RequestChannel::over_time(const char* what) const {
  return {StatusCode::kDeadlineExceeded, to_string(options_->server) + ": " + what};
}

// Sent whole, and not answered in time.
Status RequestChannel::give_up(PendingRequest& pending) {
  Status status = over_time("waiting for the server: no answer in time");
  pending.given_up = true;
  ++state_->counters.cancelled;
  log_event(options_->log, LogLevel::kInfo, "given_up",
            {{"wire_id", LogId{pending.id}}, {"why", status.message()}});
  const bool can_cancel = (server_.features & kFeatureCancel) != 0;
  if (can_cancel || pending_.size() > 1 || places_->waiting() > 0) {
    pending_.give_up(pending.id);
    if (can_cancel) send_soon(make_cancel(pending.id));
  } else {
    close({StatusCode::kUnavailable, status.message()});  // else the server works on for nobody
  }
  return status;
}

void RequestChannel::begin_reading() {
  if (std::exchange(reading_, true)) return;
  spawn(&RequestChannel::read);
}

void RequestChannel::begin_waiting() {
  begin_reading();
  if (pending_.size() > 1) return;
  liveness_.begin(Clock::now(), link_.bytes_received(), bytes_acknowledged());
  if (watching_) return;
  watching_ = true;
  spawn(&RequestChannel::watch);
}

// What runs beside its caller holds this object.
void RequestChannel::spawn(asio::awaitable<void> (RequestChannel::*coroutine)()) {
  asio::co_spawn(
      executor_, [self = shared_from_this(), coroutine] { return ((*self).*coroutine)(); },
      [self = shared_from_this()](std::exception_ptr error) {
        if (error != nullptr) self->close({StatusCode::kUnavailable, "no memory for the link"});
      });
}

asio::awaitable<void> RequestChannel::read() {
  while (is_open_) {
    ServerLink::Incoming frame;
    // The first byte may take as long as it likes: others watch that.
    Status status =
        co_await link_.receive_frame(frame, 0, Clock::time_point::max(), Clock::time_point::max());
    if (!is_open_) break;
    if (status.is_ok()) status = take(*frame.envelope);
    if (!status.is_ok()) close(status);
  }
}

Status RequestChannel::take(const fbs::Envelope& envelope) {
  switch (envelope.message_type()) {
    case fbs::Message::Answer:
      return take_answer(*envelope.message_as_Answer());
    case fbs::Message::Error:
      return take_error(*envelope.message_as_Error());
    case fbs::Message::Ping:
      if (control_.size() >= kMostControlFrames) {
        return {StatusCode::kCorrupt, "the server asks faster than it takes answers"};
      }
      send_soon(make_pong(envelope.message_as_Ping()->nonce()));
      return Status::ok();
    case fbs::Message::Pong:  // that something came is all it says
      return Status::ok();
    case fbs::Message::Goodbye:
      draining_ = true;  // the answers to what is under way still come
      ended_by_ = Status(StatusCode::kUnavailable, kSaidGoodbye);
      end_if_drained();
      return Status::ok();
    default:
      return {StatusCode::kCorrupt, "the server sent an unexpected message"};
  }
}

Status RequestChannel::take_answer(const fbs::Answer& answer) {
  PendingRequest* pending = pending_.find(answer.request_id());
  if (pending == nullptr) {
    if (pending_.take_given_up(answer.request_id())) {
      ++state_->counters.late_answers;
      log_event(options_->log, LogLevel::kInfo, "late_answer",
                {{"wire_id", LogId{answer.request_id()}}});
    }
    return Status::ok();
  }
  if (answer.scores()->size() != options_->score_count) {
    return {StatusCode::kCorrupt, "the answer has a wrong number of scores"};
  }
  pending->scores.assign(answer.scores()->begin(), answer.scores()->end());
  pending->times = {answer.residence_ns(), answer.queue_ns(), answer.decode_ns(),
                    answer.compute_ns()};
  pending->end(Status::ok());
  return Status::ok();
}

// Its pause holds, whichever request it is about.
Status RequestChannel::take_error(const fbs::Error& error) {
  keep_pause(error, *options_, *state_);
  const Status refusal = link_.refusal(error);
  if (error.request_id() == 0) return refusal;
  if (!is_of_one_request(error.code())) {
    draining_ = true;
    ended_by_ = broken_by(refusal);
  }
  if (PendingRequest* pending = pending_.find(error.request_id())) {
    pending->refused_as = error.code();
    log_event(options_->log, LogLevel::kInfo,
              error.code() == fbs::ErrorCode::Busy ? "busy" : "refused",
              {{"wire_id", LogId{error.request_id()}},
               {"code", fbs::EnumNameErrorCode(error.code())},
               {"retry_after_ms", error.retry_after_ms()},
               {"why", error.text()->string_view()}});
    pending->end(refusal);
  } else {
    (void)pending_.take_given_up(error.request_id());
  }
  end_if_drained();
  return Status::ok();
}

asio::awaitable<void> RequestChannel::end() {
  const auto self = shared_from_this();
  bool politely = takes_requests();
  const Clock::time_point latest = Clock::now() + kGoodbyeTimeout;
  if (politely) politely = co_await sending_.enter(latest);
  is_open_ = false;
  ended_by_ = Status(StatusCode::kUnavailable, "the connection was closed");
  co_await link_.end(politely, latest);
  close(ended_by_);
}

void RequestChannel::end_if_drained() {
  if (draining_ && is_open_ && pending_.empty()) close(ended_by_);
}

void RequestChannel::close(const Status& why) {
  const Status reason = broken_by(why);
  if (is_open_) {
    ++state_->counters.connections_lost;
    log_event(options_->log, LogLevel::kInfo, "disconnected",
              {{"server", to_string(options_->server)},
               {"session", server_.session_id},
               {"why", draining_ ? ended_by_.message() : reason.message()}});
  }
  if (is_open_ && !draining_) ended_by_ = reason;
  is_open_ = false;
  link_.close();
  pending_.end_all(reason);
  if (places_) places_->close();
  sending_.close();
  watch_timer_.cancel();
  pace_timer_.cancel();
  beat_timer_.cancel();
  control_.clear();
}

}  // namespace cleave::agent
