// SPDX-License-Identifier: Apache-2.0
//
// Asking the server for the rest, and finishing on the device when it does not answer in time.
#include <algorithm>
#include <utility>

#include "agent/codec_option.h"
#include "agent/pipeline.h"
#include "agent/spool/result_line.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

// Beside a tenth of what the rest is expected to take here: preparing it, and its own luck.
constexpr std::chrono::milliseconds kFinishMargin{20};

const char* sent_name(fbs::Codec codec) {
  switch (codec) {
    case fbs::Codec::Raw:
    case fbs::Codec::Lossless:
    case fbs::Codec::F16:
    case fbs::Codec::Int8:
    case fbs::Codec::Coded:
      return kSentTensors;
    case fbs::Codec::Jpeg:
      return kSentJpeg;
    case fbs::Codec::PixelsU8:
      return kSentPixels;
    case fbs::Codec::JpegModelSize:
      return kSentModelJpeg;
  }
  return "?";
}

}  // namespace

Outgoing Pipeline::make_request(Work& work) const {
  Outgoing request;
  request.request_id = work.wire_id;
  request.variant = variant_of(work);
  request.cut = work.split.op_boundary;
  request.codec = work.codec;
  // A JPEG says in itself how it was quantized.
  request.quality = work.codec == fbs::Codec::JpegModelSize ? std::uint8_t{0} : quality_of(work);
  const Clock::time_point until = ask_until(work);
  work.gave_up_early = until < work.latest;
  request.latest = until;
  if (work.codec == fbs::Codec::Jpeg) {
    request.attachment.emplace_back(work.file);
  } else if (work.codec == fbs::Codec::PixelsU8) {
    request.attachment.push_back(std::as_bytes(std::span(work.buffers.pixels)));
  } else if (work.waited_as && work.codec == work.waited_as->codec) {
    request.attachment.emplace_back(work.file);
  } else if (work.codec != fbs::Codec::Raw) {
    request.attachment.emplace_back(work.buffers.encoded.data(), work.encoded_bytes);
  } else {
    request.attachment = work.buffers.tensors();
  }
  return request;
}

// As long as the device can still finish in time. One that could not in any case leaves the server
// all of the time.
Clock::time_point Pipeline::ask_until(const Work& work) const {
  if (!can_finish(work) || planner_->edge_table().op_ns.empty()) return work.latest;
  const auto now_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
  const TableCorrections seen = online_.corrections_for(work.file.size(), now_ns);
  std::uint64_t rest_ns = seen.edge_ops.apply(planner_->edge_ops_ns(op_count_) -
                                              planner_->edge_ops_ns(work.split.op_boundary));
  if (work.split.op_boundary == 0 && !work.has_pixels) {
    rest_ns = planner::saturating_add(rest_ns, seen.edge_input_ns.value_or(planner_->input_ns()));
  }
  std::uint64_t with_spare = planner::saturating_add(rest_ns, rest_ns / 10);
  // Another picture's head, once begun, is finished first.
  if (compute_.is_own_thread()) with_spare = planner::saturating_add(with_spare, last_head_ns_);
  const auto timeout_ns = static_cast<std::uint64_t>(options_.timeout.count());
  if (with_spare >= timeout_ns) return work.latest;
  const Clock::time_point until =
      work.latest - std::chrono::nanoseconds(with_spare) - kFinishMargin;
  const auto now = Clock::now();
  if (until > now) return until;
  // Without the spare: at once it may still be in time.
  return now + std::chrono::nanoseconds(rest_ns) < work.latest ? now : work.latest;
}

// A picture is in one form of several, but never at several levels.
std::uint8_t Pipeline::quality_of(const Work& work) const {
  if (work.waited_as && work.codec == work.waited_as->codec) return work.waited_as->quality;
  return work.codec == work.wanted_codec.codec ? work.wanted_codec.quality : std::uint8_t{0};
}

bool Pipeline::server_takes_file(const Work& work) const {
  return work.is_jpeg && connection_ != nullptr &&
         work.file.size() <= connection_->max_picture_bytes();
}

fbs::Codec Pipeline::form_of_picture(const Work& work) const {
  if (work.encoded_bytes > 0 && connection_->takes_model_jpegs()) return fbs::Codec::JpegModelSize;
  // Where a JPEG at model size was to go, the pixels may be there already, and fewer bytes.
  const bool pixels_are_less = is_model_jpeg(work.wanted_codec) && work.has_pixels &&
                               work.buffers.pixels.size() < work.file.size();
  const bool as_it_is = server_takes_file(work) && !work.as_pixels && !pixels_are_less;
  return as_it_is ? fbs::Codec::Jpeg : fbs::Codec::PixelsU8;
}

// What travels depends on the server that is there now: its limit, and whether it decodes, is known
// after the handshake.
asio::awaitable<Status> Pipeline::choose_form(Work& work) {
  if (work.waited_as) co_return co_await choose_form_of_activation(work);
  if (work.split.op_boundary > 0) {
    const bool coded = work.encoded_bytes > 0 && connection_->takes_codecs();
    work.codec = coded ? work.wanted_codec.codec : fbs::Codec::Raw;
    co_return Status::ok();
  }
  work.codec = form_of_picture(work);
  if (work.codec != fbs::Codec::PixelsU8 || work.has_pixels) co_return Status::ok();
  const auto start = Clock::now();
  note_room(work);
  Status status;
  co_await compute_.run([&] { status = prepare_input(work, head_ram_bytes(0), {}); },
                        ComputeThread::Urgency::kFirst);
  if (work.has_pixels) work.decode_bytes = 0;
  work.record.edge_ns += ns_between(start, Clock::now());
  co_return status;
}

// A device that can answer does so at once; one that cannot waits as long as its picture may.
asio::awaitable<void> Pipeline::wait_out_pause(const Work& work, std::uint64_t ram_bytes) {
  if (ram_bytes <= caps_.ram_bytes) co_return;
  if (connection_->quiet_until() <= Clock::now()) co_return;
  asio::steady_timer timer(executor_, std::min(connection_->quiet_until(), work.latest));
  (void)co_await timer.async_wait(as_result);
}

asio::awaitable<Status> Pipeline::try_server(Work& work, ServerAnswer& answer) {
  answer = ServerAnswer();  // what an earlier try sent is no measurement of this one
  Status status = co_await connection_->ensure_ready(ask_until(work));
  if (status.is_ok()) status = co_await choose_form(work);
  if (!status.is_ok()) co_return status;
  // A request that is sent again is the same one only in the same form.
  if (work.sent_as != work.codec) {
    work.sent_as = work.codec;
    work.wire_id = request_ids_.next();
  }
  const Outgoing request = make_request(work);
  log_picture(LogLevel::kDebug, "asking", work, "");
  status = co_await connection_->exchange(request, answer);
  if (answer.frame_bytes_up > 0) work.record.wire_id = work.wire_id;
  work.record.bytes_up += answer.attachment_bytes_up;
  work.record.waited_ns += answer.queued_ns;
  if (!status.is_ok()) co_return status;
  work.record.sent = sent_name(work.codec);
  if (work.split.op_boundary > 0 || work.codec == fbs::Codec::JpegModelSize) {
    work.record.codec = codec_name({.codec = work.codec, .quality = quality_of(work)});
  }
  co_return status;
}

// The server may have closed an idle connection, or one broke that had worked: one try more, on a
// new one, before giving up.
asio::awaitable<Status> Pipeline::try_twice(Work& work, ServerAnswer& answer) {
  const bool was_open = connection_->is_open();
  Status status = co_await try_server(work, answer);
  // Others may have been answered on it since this one began to connect.
  const bool had_worked =
      was_open || (answered_handshake_ > 0 && answered_handshake_ == connection_->handshakes());
  if (status.code() != StatusCode::kUnavailable || !had_worked) co_return status;
  if (answer.frame_bytes_up > 0) {
    ++counters_.retries;
    log_picture(LogLevel::kInfo, "retried", work, status.message());
  }
  co_return co_await try_server(work, answer);
}

// What this device made is sound: it was damaged on its way. As a new request, not the one that the
// server has refused.
asio::awaitable<Status> Pipeline::ask_anew(Work& work, ServerAnswer& answer, Status refused) {
  ++counters_.retries;
  log_picture(LogLevel::kInfo, "retried", work, refused.message());
  work.sent_as.reset();
  co_return co_await try_server(work, answer);
}

asio::awaitable<Status> Pipeline::ask_server(Work& work) {
  if (connection_ == nullptr) {
    const Status why(StatusCode::kUnavailable, "no server was given");
    co_return co_await finish_locally(work, why);
  }
  ServerAnswer answer;
  Status status;
  bool asked_to_wait = false;
  do {
    co_await wait_out_pause(work, alone_ram_bytes(work));
    status = co_await try_twice(work, answer);
    const bool made_it = answer.frame_bytes_up > 0 && work.codec != fbs::Codec::Jpeg;
    if (status.code() == StatusCode::kInvalidArgument && made_it) {
      status = co_await ask_anew(work, answer, std::move(status));
    }
    asked_to_wait = !status.is_ok() && alone_ram_bytes(work) > caps_.ram_bytes &&
                    connection_->quiet_until() > Clock::now() &&
                    connection_->quiet_until() < work.latest;
  } while (asked_to_wait);
  if (status.is_ok()) {
    answered_ = true;
    answered_handshake_ = connection_->handshakes();
    take_answer(work, answer);
    co_return status;
  }
  // Not even in that time: the link is no faster than this, or its server no quicker.
  if (status.code() == StatusCode::kDeadlineExceeded &&
      answer.attachment_bytes_up > planner::LinkEstimator::kSmallBytes) {
    learn(work, answer);
  }
  if (status.code() == StatusCode::kMismatch) co_return status;
  // A file may be none that anyone can decode; what was computed of it is good for the rest.
  const bool is_refused = status.code() == StatusCode::kInvalidArgument;
  if (is_refused && (work.split.op_boundary == 0 || !can_finish(work))) {
    co_return status.with_context(work.record.image);
  }
  co_return co_await finish_locally(work, status);
}

void Pipeline::log_picture(LogLevel level, std::string_view event, const Work& work,
                           std::string_view why) const {
  if (options_.log == nullptr) return;
  log_event(options_.log, level, event,
            {{"image", work.record.image},
             {"request", known_id_text(work.record.request_id)},
             {"wire_id", LogId{work.wire_id}},
             {"why", why}});
}

void Pipeline::take_answer(Work& work, ServerAnswer& answer) {
  Record& record = work.record;
  record.scores = std::move(answer.scores);
  record.server_ns = std::min(answer.times.residence_ns, answer.wait_ns);
  const std::uint64_t on_link = answer.wait_ns - record.server_ns;
  record.rx_ns = std::min(connection_->rtt_ns() / 2, on_link);
  record.tx_ns = on_link - record.rx_ns;
  learn(work, answer);
}

asio::awaitable<Status> Pipeline::finish_locally(Work& work, Status why) {
  if (!holds_all_) {
    co_return Status(StatusCode::kUnavailable,
                     why.message() + "; the weights of the rest are not on this device");
  }
  if (is_foreign(work)) {
    co_return Status(
        StatusCode::kUnavailable,
        why.message() + "; what waited is of another --variant, so it was not finished here");
  }
  if (!can_finish(work)) {
    co_return Status(
        StatusCode::kUnavailable,
        why.message() + "; the whole network does not fit the RAM cap, so it was not run here");
  }
  note_room(work);
  Status status;
  const auto begun = co_await take_turn(
      compute_, work, [&] { status = run_tail(work); }, ComputeThread::Urgency::kFirst);
  if (!status.is_ok()) co_return status;
  ++counters_.fallbacks;
  log_picture(LogLevel::kInfo, "fell_back", work, why.message());
  if (why.code() == StatusCode::kDeadlineExceeded && work.gave_up_early) ++counters_.in_time;
  work.record.split = model_->header().layers()->size();
  work.record.fallback = why.message();
  work.record.edge_ns += ns_between(begun, Clock::now());
  co_return status;
}

}  // namespace cleave::agent
