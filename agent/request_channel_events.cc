// SPDX-License-Identifier: Apache-2.0
//
// What happened on a connection, for counters and log.
#include "agent/request_channel.h"
#include "agent/request_ids.h"

namespace cleave::agent {
namespace {

std::uint64_t LinkCounters::*counter_of_failure(StatusCode code, bool was_reached) {
  switch (code) {
    case StatusCode::kDeadlineExceeded:
      return &LinkCounters::connect_timeouts;
    case StatusCode::kMismatch:
      return &LinkCounters::connect_mismatches;
    case StatusCode::kResourceExhausted:
      return &LinkCounters::connect_busy;
    default:
      return was_reached ? &LinkCounters::connect_broken : &LinkCounters::connect_unreachable;
  }
}

}  // namespace

// Gives the one that is not ok, if any.
Status RequestChannel::count_opening(const Status& connected, const Status& greeted) {
  LinkCounters& counters = state_->counters;
  if (connected.is_ok()) state_->stranger.clear();
  if (connected.is_ok() && greeted.is_ok()) {
    ++counters.connections;
    log_event(options_->log, LogLevel::kInfo, "connected",
              {{"server", to_string(options_->server)},
               {"session", server_.session_id},
               {"features", server_.features},
               {"rtt_ns", server_.rtt_ns}});
    return greeted;
  }
  const Status& status = connected.is_ok() ? greeted : connected;
  const bool is_known_stranger = link_.met_stranger() && state_->stranger == status.message();
  if (link_.met_stranger()) state_->stranger = status.message();
  ++counters.connect_failures;
  ++(counters.*(link_.is_distrusted() ? &LinkCounters::connect_distrusted
                                      : counter_of_failure(status.code(), link_.was_reached())));
  log_event(options_->log, is_known_stranger ? LogLevel::kInfo : LogLevel::kWarn, "connect_failed",
            {{"server", to_string(options_->server)},
             {"code", status_code_name(status.code())},
             {"why", status.message()}});
  return status;
}

void RequestChannel::count_end(const PendingRequest& pending, const ServerAnswer& answer,
                               const Status& status) {
  if (answer.frame_bytes_up == 0) return;
  LinkCounters& counters = state_->counters;
  ++counters.asked;
  if (status.is_ok()) {
    ++counters.answers;
    log_event(options_->log, LogLevel::kDebug, "answer",
              {{"wire_id", LogId{pending.id}},
               {"wait_ns", answer.wait_ns},
               {"residence_ns", answer.times.residence_ns}});
  } else if (pending.refused_as) {
    ++(*pending.refused_as == fbs::ErrorCode::Busy ? counters.busy : counters.refused);
  } else if (!pending.given_up) {
    ++counters.broken_off;
    log_event(options_->log, LogLevel::kInfo, "broken_off",
              {{"wire_id", LogId{pending.id}}, {"why", status.message()}});
  }
}

}  // namespace cleave::agent
