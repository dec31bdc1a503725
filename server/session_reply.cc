// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "server/session.h"

namespace cleave::server {
namespace {

std::uint64_t ServerStats::*counter_of(fbs::ErrorCode code) {
  switch (code) {
    case fbs::ErrorCode::BadPicture:
      return &ServerStats::bad_pictures;
    case fbs::ErrorCode::DeadlineExceeded:
      return &ServerStats::deadline_exceeded;
    case fbs::ErrorCode::BadRequest:
      return &ServerStats::bad_requests;
    case fbs::ErrorCode::Protocol:
      return &ServerStats::protocol_errors;
    case fbs::ErrorCode::Unauthorized:
      return &ServerStats::unauthorized;
    case fbs::ErrorCode::Internal:
      return &ServerStats::internal_errors;
    default:
      return &ServerStats::refused_handshakes;
  }
}

}  // namespace

// Called by the desk, which must not see what is thrown here.
void Session::take_reply(std::uint64_t ticket, const Reply& result) {
  const auto at = std::ranges::find_if(
      pending_, [ticket](const Pending& each) { return each.ticket == ticket; });
  if (at == pending_.end()) return;
  const Pending request = *at;
  pending_.erase(at);
  try {
    reply(request, result);
  } catch (const std::exception&) {
    ++context_.stats.unanswered;
    log(LogLevel::kInfo, "unanswered", request.request_id, "no memory for what was to be said");
    return fail(std::current_exception());
  }
  if (awaiting_frame_) expect_frame();
  close_when_done();
}

// What may find no memory comes first, and only then is counted: else the request has no such end.
// Nothing is written before the session's coroutines run again.
void Session::reply(const Pending& request, const Reply& reply) {
  if (reply.error == fbs::ErrorCode::Busy) {
    return send_busy(request.request_id,
                     {reply.error, reply.error_text, &ServerStats::busy_memory});
  }
  if (reply.error != fbs::ErrorCode::None) {
    send(make_error(request.request_id, reply.error, reply.error_text));
    ++context_.stats.errors;
    ++context_.stats.request_errors;
    ++(context_.stats.*counter_of(reply.error));
    return log(LogLevel::kInfo, "request_failed", request.request_id, reply.error_text);
  }
  const std::uint64_t residence_ns = nanoseconds_between(request.arrived, Clock::now());
  send(make_answer(request.request_id, reply.scores,
                   {.residence_ns = residence_ns,
                    .queue_ns = reply.queue_ns,
                    .decode_ns = reply.decode_ns,
                    .compute_ns = reply.compute_ns},
                   request.repeated));
  ++context_.stats.answers;
  log_event(LogLevel::kDebug, "answered",
            {{"session", id_},
             {"peer", peer_},
             {"device", protocol_.device()},
             {"request", LogId{request.request_id}},
             {"residence_ns", residence_ns},
             {"queue_ns", reply.queue_ns},
             {"decode_ns", reply.decode_ns},
             {"compute_ns", reply.compute_ns},
             {"repeated", request.repeated ? "true" : ""}});
}

void Session::send_busy(std::uint64_t request_id, const TurnDown& reason) {
  const std::uint32_t retry_after_ms =
      reason.retry_after_ms != 0 ? reason.retry_after_ms : context_.pool.retry_after_ms();
  send(make_error(request_id, reason.code, reason.why, retry_after_ms));
  ++context_.stats.busy;
  ++(context_.stats.*reason.counter);
  log(LogLevel::kInfo, "busy", request_id, reason.why);
}

void Session::refuse(const SessionProtocol::Step& step) {
  send(make_error(step.request_id, step.code, step.text));
  ++context_.stats.errors;
  ++(context_.stats.*counter_of(step.code));
  if (std::exchange(in_hand_, std::nullopt)) ++context_.stats.request_errors;
  log(LogLevel::kInfo, "refused", step.request_id, step.text);
  closing_ = true;
}

}  // namespace cleave::server
