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

FrameBytes make_hello(std::string_view device, std::span<const std::uint8_t, 32> model_identity) {
  FlatBufferBuilder builder;
  const auto device_text = add_text(builder, device);
  const auto identity = builder.CreateVector(model_identity.data(), model_identity.size());
  const auto hello = fbs::CreateHello(builder, kProtocolVersion, device_text, identity);
  return finish_frame(builder, fbs::Message::Hello, hello.Union());
}

FrameBytes make_welcome(const WelcomeFields& fields) {
  FlatBufferBuilder builder;
  const auto server = add_text(builder, fields.server);
  Offset<fbs::Profile> profile;
  if (fields.profile != nullptr) profile = build_profile(builder, *fields.profile);
  const auto welcome = fbs::CreateWelcome(builder, kProtocolVersion, server, fields.session_id,
                                          fields.max_inflight, fields.max_picture_bytes, profile);
  return finish_frame(builder, fbs::Message::Welcome, welcome.Union());
}

FrameBytes make_request(std::uint64_t request_id, std::uint32_t variant, std::uint32_t cut,
                        fbs::Codec codec, std::uint64_t remaining_ns,
                        std::uint64_t attachment_bytes) {
  FlatBufferBuilder builder;
  const auto request = fbs::CreateRequest(builder, request_id, variant, cut, codec, remaining_ns);
  return finish_frame(builder, fbs::Message::Request, request.Union(), attachment_bytes);
}

FrameBytes make_answer(std::uint64_t request_id, std::span<const float> scores,
                       const ServerTimes& times) {
  FlatBufferBuilder builder;
  const auto values = builder.CreateVector(scores.data(), scores.size());
  const auto answer = fbs::CreateAnswer(builder, request_id, values, times.residence_ns,
                                        times.queue_ns, times.decode_ns, times.compute_ns);
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
