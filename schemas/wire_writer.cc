// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "schemas/frame.h"
#include "schemas/text_check.h"
#include "schemas/wire_reader.h"

namespace cleave {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// What is sent passes the other side's check_text(), whatever it was made from.
Offset<flatbuffers::String> add_text(FlatBufferBuilder& builder, std::string_view text) {
  return builder.CreateString(clean_text(text, kMaxTextBytes));
}

}  // namespace

FrameBytes finish_frame(FlatBufferBuilder& builder, fbs::Message type, Offset<void> message,
                        std::uint64_t attachment_bytes) {
  fbs::FinishEnvelopeBuffer(builder, fbs::CreateEnvelope(builder, type, message));
  const auto header = encode_frame_header(
      {.message_bytes = builder.GetSize(), .attachment_bytes = attachment_bytes});
  FrameBytes frame(kFrameHeaderBytes + builder.GetSize());
  std::ranges::copy(header, frame.begin());
  std::memcpy(frame.data() + kFrameHeaderBytes, builder.GetBufferPointer(), builder.GetSize());
  return frame;
}

FrameBytes make_hello(const HelloFields& fields) {
  FlatBufferBuilder builder;
  const auto device = add_text(builder, fields.device);
  const auto identity =
      builder.CreateVector(fields.model_identity.data(), fields.model_identity.size());
  Offset<flatbuffers::String> token;
  if (!fields.token.empty()) token = add_text(builder, fields.token);
  Offset<flatbuffers::String> model_name;
  if (!fields.model_name.empty()) model_name = add_text(builder, fields.model_name);
  const auto hello = fbs::CreateHello(builder, kProtocolVersion, device, identity,
                                      fields.lowest_version, fields.features, token, model_name);
  return finish_frame(builder, fbs::Message::Hello, hello.Union());
}

FrameBytes make_welcome(const WelcomeFields& fields) {
  FlatBufferBuilder builder;
  const auto server = add_text(builder, fields.server);
  Offset<fbs::Profile> profile;
  if (fields.profile != nullptr) profile = build_profile(builder, *fields.profile);
  Offset<flatbuffers::Vector<std::uint8_t>> current_model;
  if (!fields.current_model.empty()) {
    current_model = builder.CreateVector(fields.current_model.data(), fields.current_model.size());
  }
  const auto welcome = fbs::CreateWelcome(
      builder, fields.protocol_version, server, fields.session_id, fields.max_inflight,
      fields.max_picture_bytes, profile, fields.features, fields.heartbeat_ms, current_model);
  return finish_frame(builder, fbs::Message::Welcome, welcome.Union());
}

FrameBytes make_request(const RequestFields& fields, std::uint64_t attachment_bytes) {
  FlatBufferBuilder builder;
  const auto request = fbs::CreateRequest(builder, fields.request_id, fields.variant, fields.cut,
                                          fields.codec, fields.remaining_ns, fields.quality);
  return finish_frame(builder, fbs::Message::Request, request.Union(), attachment_bytes);
}

FrameBytes make_cancel(std::uint64_t request_id) {
  FlatBufferBuilder builder;
  return finish_frame(builder, fbs::Message::Cancel,
                      fbs::CreateCancel(builder, request_id).Union());
}

FrameBytes make_fetch(const FetchFields& fields) {
  FlatBufferBuilder builder;
  const auto sha256 = builder.CreateVector(fields.sha256.data(), fields.sha256.size());
  const auto fetch =
      fbs::CreateFetch(builder, fields.fetch_id, sha256, fields.offset, fields.bytes);
  return finish_frame(builder, fbs::Message::Fetch, fetch.Union());
}

FrameBytes make_piece(std::uint64_t fetch_id, std::uint64_t total_bytes,
                      std::uint32_t attachment_bytes) {
  FlatBufferBuilder builder;
  const auto piece = fbs::CreatePiece(builder, fetch_id, total_bytes);
  return finish_frame(builder, fbs::Message::Piece, piece.Union(), attachment_bytes);
}

FrameBytes make_answer(std::uint64_t request_id, std::span<const float> scores,
                       const ServerTimes& times, bool repeated) {
  FlatBufferBuilder builder;
  const auto values = builder.CreateVector(scores.data(), scores.size());
  const auto answer =
      fbs::CreateAnswer(builder, request_id, values, times.residence_ns, times.queue_ns,
                        times.decode_ns, times.compute_ns, repeated);
  return finish_frame(builder, fbs::Message::Answer, answer.Union());
}

FrameBytes make_error(std::uint64_t request_id, fbs::ErrorCode code, std::string_view text,
                      std::uint32_t retry_after_ms) {
  FlatBufferBuilder builder;
  const auto words = add_text(builder, text);
  const auto error = fbs::CreateError(builder, request_id, code, words, retry_after_ms);
  return finish_frame(builder, fbs::Message::Error, error.Union());
}

FrameBytes make_ping(std::uint64_t nonce) {
  FlatBufferBuilder builder;
  return finish_frame(builder, fbs::Message::Ping, fbs::CreatePing(builder, nonce).Union());
}

FrameBytes make_pong(std::uint64_t nonce) {
  FlatBufferBuilder builder;
  return finish_frame(builder, fbs::Message::Pong, fbs::CreatePong(builder, nonce).Union());
}

FrameBytes make_goodbye(std::string_view reason) {
  FlatBufferBuilder builder;
  const auto words = add_text(builder, reason);
  return finish_frame(builder, fbs::Message::Goodbye, fbs::CreateGoodbye(builder, words).Union());
}

}  // namespace cleave
