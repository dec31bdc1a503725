// SPDX-License-Identifier: Apache-2.0
//
// Where to cut for one picture: what the link was seen to do, the plan, and when it is changed.
#include <algorithm>
#include <utility>

#include "agent/codec_option.h"
#include "agent/pipeline.h"

namespace cleave::agent {
namespace {

std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
}

}  // namespace

void Pipeline::refresh_caps() {
  if (options_.watch == nullptr || !options_.watch->refresh()) return;
  const DeviceCaps& seen = options_.watch->caps();
  caps_.ram_bytes = seen.ram.bytes;
  caps_.storage_bytes = seen.storage.bytes;
  const DeviceSpeed speed = speed_now(seen.processor);
  if (speed != planner_->device_speed()) online_.take_speed(speed);
}

asio::awaitable<Status> Pipeline::choose_split(Work& work) {
  Status status;
  if (options_.fixed_split) {
    work.split = *options_.fixed_split;
    work.wanted_codec = options_.codec;
    if (head_ram_bytes(work.split.op_boundary) + work.file.size() > caps_.ram_bytes) {
      status = {StatusCode::kResourceExhausted,
                work.record.image + ": with its file this split is over the RAM cap"};
    } else {
      predict_fixed_split(work);
    }
  } else {
    Status reached(StatusCode::kUnavailable, "no server was given");
    if (connection_ != nullptr) {
      co_await wait_out_pause(work, head_ram_bytes(op_count_) + work.file.size());
      reached = co_await connection_->ensure_ready(work.latest);
    }
    status = reached.code() == StatusCode::kMismatch ? reached : plan_split(work, reached);
  }
  work.record.split = work.split.layers_on_device;
  work.record.planned_split = work.record.split;
  co_return status;
}

Situation Pipeline::situation_of(const Work& work, const Status& reached) const {
  Situation situation{.now_ns = monotonic_ns(),
                      .picture = {server_takes_file(work), work.file.size()},
                      .file_bytes = work.file.size(),
                      .caps = caps_,
                      .has_server = connection_ != nullptr,
                      .reached = reached.is_ok(),
                      .unreached_why = reached.message()};
  situation.caps.ram_bytes -= std::min<std::uint64_t>(situation.caps.ram_bytes, work.file.size());
  return situation;
}

// Each handshake measures the round trip anew, and may be with another server.
Status Pipeline::note_handshake() {
  if (connection_ == nullptr || connection_->handshakes() == handshakes_seen_) return Status::ok();
  handshakes_seen_ = connection_->handshakes();
  HandshakeSeen seen;
  seen.rtt_ns = connection_->rtt_ns();
  seen.takes_codecs = connection_->takes_codecs();
  seen.takes_model_jpegs = connection_->takes_model_jpegs();
  if (connection_->server_profile()) {
    seen.decode_ns = planner_->decode_ns_in(*connection_->server_profile());
    seen.op_ns = planner_->op_ns_in(*connection_->server_profile());
    seen.input_ns = connection_->server_profile()->input_ns;
    if (seen.op_ns.empty()) {
      return {StatusCode::kMismatch, "the server's profile has no table of this variant"};
    }
  }
  return online_.take_handshake(seen);
}

Status Pipeline::plan_split(Work& work, const Status& reached) {
  if (reached.is_ok()) CLEAVE_RETURN_IF_ERROR(note_handshake());
  CLEAVE_ASSIGN_OR_RETURN(const Choice choice, online_.choose(situation_of(work, reached)));
  work.split = choice.split;
  work.wanted_codec = choice.codec;
  work.as_pixels =
      choice.split.op_boundary == 0 && !choice.sends_file && !is_model_jpeg(choice.codec);
  work.record.fallback = choice.fallback;
  if (!choice.fallback.empty()) {
    ++counters_.planned_alone;
    log_picture(LogLevel::kInfo, "fell_back", work, choice.fallback);
  }
  work.record.bounds_missed = choice.bounds_missed;
  work.record.predicted = choice.predicted;
  return Status::ok();
}

// A fixed split needs no tables: without them there is no prediction.
void Pipeline::predict_fixed_split(Work& work) {
  const bool open = connection_ != nullptr && connection_->is_open() && note_handshake().is_ok();
  const Status reached = open ? Status::ok() : Status(StatusCode::kUnavailable, "not connected");
  work.record.predicted =
      online_.predict(situation_of(work, reached), work.split, work.wanted_codec);
}

// Of tensors, or a JPEG at model size, that were sent.
CodecChoice Pipeline::codec_of(const Work& work) const {
  const bool sent_tensors = work.split.op_boundary > 0 && work.split.op_boundary < op_count_;
  if (!sent_tensors && work.codec != fbs::Codec::JpegModelSize) return {};
  return {.codec = work.codec, .quality = quality_of(work)};
}

// What the picture took corrects what the next is expected to take.
void Pipeline::learn(const Work& work, const ServerAnswer& answer) {
  const ServerTimes& times = answer.times;
  const std::uint64_t residence_ns = std::min(times.residence_ns, answer.wait_ns);
  // A server whose tables do not fit was refused when it was planned with; a reconnect in the
  // middle of a request is looked at before the next.
  (void)note_handshake();
  if (variant_of(work) != options_.variant) return;
  online_.observe({.now_ns = monotonic_ns(),
                   .op_boundary = static_cast<std::uint32_t>(work.split.op_boundary),
                   .file_bytes = work.file.size(),
                   .decoded = work.has_pixels,
                   .input_ns = work.input_ns,
                   .head_ns = work.head_ns,
                   // The link carried those before it in the same time.
                   .bytes_up = answer.frame_bytes_up + answer.bytes_ahead,
                   .link_ns = answer.wait_ns - residence_ns,
                   .sent_jpeg = work.codec == fbs::Codec::Jpeg,
                   .codec = codec_of(work),
                   .residence_ns = residence_ns,
                   .decode_ns = times.decode_ns,
                   .compute_ns = times.compute_ns});
}

}  // namespace cleave::agent
