// SPDX-License-Identifier: Apache-2.0
#include "schemas/wire_reader.h"

#include <string>

#include "schemas/frame.h"
#include "schemas/profile_reader.h"
#include "schemas/text_check.h"

namespace cleave {
namespace {

// Envelope, message, profile, its variants: four tables deep, one table per variant.
constexpr std::uint32_t kMaxMessageDepth = 8;
constexpr std::uint32_t kMaxMessageTables = 320;

Status check_string(const flatbuffers::String* text, const char* what) {
  if (text == nullptr) return Status::ok();
  return check_text(text->string_view(), kMaxTextBytes).with_context(what);
}

// Needed before the Verifier, which would find all of it, so that the error says what it is.
Status check_alignment(std::span<const std::byte> bytes) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(std::uint64_t) == 0) {
    return Status::ok();
  }
  return {StatusCode::kInternal, "message: buffer is not aligned to 8"};
}

bool is_digest(const flatbuffers::Vector<std::uint8_t>& bytes) {
  return bytes.size() == std::tuple_size_v<Sha256Digest>;
}

Status check_hello(const fbs::Hello& hello) {
  if (!is_digest(*hello.model_identity())) return corrupt("Hello: model_identity is not 32 bytes");
  if (hello.lowest_version() > hello.protocol_version()) {
    return corrupt("Hello: lowest_version is above protocol_version");
  }
  CLEAVE_RETURN_IF_ERROR(check_string(hello.token(), "Hello: token"));
  CLEAVE_RETURN_IF_ERROR(check_string(hello.model_name(), "Hello: model_name"));
  return check_string(hello.device(), "Hello: device");
}

Status check_welcome(const fbs::Welcome& welcome) {
  CLEAVE_RETURN_IF_ERROR(check_string(welcome.server(), "Welcome: server"));
  if (welcome.max_inflight() == 0) return corrupt("Welcome: max_inflight is 0");
  if (welcome.current_model() != nullptr && !is_digest(*welcome.current_model())) {
    return corrupt("Welcome: current_model is not 32 bytes");
  }
  if (welcome.profile() == nullptr) return Status::ok();
  return check_profile(*welcome.profile()).with_context("Welcome: profile");
}

Status check_request(const fbs::Request& request) {
  if (request.request_id() == 0) return corrupt("Request: request_id is 0");
  if (request.codec() > fbs::Codec::MAX) return corrupt("Request: unknown codec");
  const bool is_picture = request.codec() == fbs::Codec::Jpeg ||
                          request.codec() == fbs::Codec::PixelsU8 ||
                          request.codec() == fbs::Codec::JpegModelSize;
  if (is_picture && request.cut() != 0) {
    return corrupt("Request: a picture can only be sent at cut 0");
  }
  if (request.quality() != 0 && request.codec() != fbs::Codec::Coded) {
    return corrupt("Request: a quality for a codec that has none");
  }
  return Status::ok();
}

Status check_fetch(const fbs::Fetch& fetch) {
  if (fetch.fetch_id() == 0) return corrupt("Fetch: fetch_id is 0");
  if (!is_digest(*fetch.sha256())) return corrupt("Fetch: sha256 is not 32 bytes");
  if (fetch.bytes() < 1 || fetch.bytes() > kMaxPieceBytes) {
    return corrupt("Fetch: " + std::to_string(fetch.bytes()) + " bytes, must be 1.." +
                   std::to_string(kMaxPieceBytes));
  }
  return Status::ok();
}

Status check_answer(const fbs::Answer& answer) {
  if (answer.request_id() == 0) return corrupt("Answer: request_id is 0");
  const std::size_t count = answer.scores()->size();
  if (count < 1 || count > kMaxScores) {
    return corrupt("Answer: " + std::to_string(count) + " scores, must be 1.." +
                   std::to_string(kMaxScores));
  }
  return Status::ok();
}

Status check_error(const fbs::Error& error) {
  if (error.code() == fbs::ErrorCode::None || error.code() > fbs::ErrorCode::MAX) {
    return corrupt("Error: unknown code");
  }
  return check_string(error.text(), "Error: text");
}

Status check_message(const fbs::Envelope& envelope) {
  switch (envelope.message_type()) {
    case fbs::Message::Hello:
      return check_hello(*envelope.message_as_Hello());
    case fbs::Message::Welcome:
      return check_welcome(*envelope.message_as_Welcome());
    case fbs::Message::Request:
      return check_request(*envelope.message_as_Request());
    case fbs::Message::Answer:
      return check_answer(*envelope.message_as_Answer());
    case fbs::Message::Error:
      return check_error(*envelope.message_as_Error());
    case fbs::Message::Ping:
    case fbs::Message::Pong:
      return Status::ok();
    case fbs::Message::Goodbye:
      return check_string(envelope.message_as_Goodbye()->reason(), "Goodbye: reason");
    case fbs::Message::Cancel:
      if (envelope.message_as_Cancel()->request_id() != 0) return Status::ok();
      return corrupt("Cancel: request_id is 0");
    case fbs::Message::Fetch:
      return check_fetch(*envelope.message_as_Fetch());
    case fbs::Message::Piece:
      if (envelope.message_as_Piece()->fetch_id() != 0) return Status::ok();
      return corrupt("Piece: fetch_id is 0");
    case fbs::Message::NONE:
      break;
  }
  return corrupt("message of an unknown type");
}

}  // namespace

Result<const fbs::Envelope*> parse_message(std::span<const std::byte> bytes) {
  CLEAVE_RETURN_IF_ERROR(check_alignment(bytes));
  if (bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE) return corrupt("message: too long");
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 kMaxMessageDepth, kMaxMessageTables);
  if (!fbs::VerifyEnvelopeBuffer(verifier)) {
    return corrupt("message: not a well-formed FlatBuffer");
  }
  const fbs::Envelope* envelope = fbs::GetEnvelope(bytes.data());
  CLEAVE_RETURN_IF_ERROR(check_message(*envelope));
  return envelope;
}

Status check_attachment(const fbs::Envelope& envelope, std::uint64_t attachment_bytes) {
  const bool expected = envelope.message_type() == fbs::Message::Request ||
                        envelope.message_type() == fbs::Message::Piece;
  if (expected == (attachment_bytes > 0)) return Status::ok();
  return corrupt(std::string(fbs::EnumNameMessage(envelope.message_type())) +
                 (expected ? ": without an attachment" : ": with an attachment"));
}

}  // namespace cleave
