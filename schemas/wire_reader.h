// SPDX-License-Identifier: Apache-2.0
//
// Messages from bytes and back, without sockets. A message that parse_message() returned has passed
// the Verifier and the checks that need no model (identity length, known enum values, score count
// under a cap, text lengths); what depends on the model is checked where the model is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "schemas/frame.h"
#include "schemas/generated/wire_generated.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::size_t kMaxScores = 65536;
inline constexpr std::size_t kMaxTextBytes = 1024;
// Largest attachment of a Piece.
inline constexpr std::uint32_t kMaxPieceBytes = 256u << 10;

// The verified message inside `bytes`, which must outlive it and be aligned to 8.
// Errors: kCorrupt with the field that does not check; kInternal when `bytes` are not aligned.
[[nodiscard]] Result<const fbs::Envelope*> parse_message(std::span<const std::byte> bytes);

// A Request and a Piece have an attachment, nothing else has one. Errors: kCorrupt.
// How long it must be follows from the model, the variant, the cut and the codec.
[[nodiscard]] Status check_attachment(const fbs::Envelope& envelope,
                                      std::uint64_t attachment_bytes);

// A complete frame without its attachment: header and message in one buffer.
using FrameBytes = std::vector<std::byte>;

// Every make_ function's texts are cleaned and cut to kMaxTextBytes (schemas/text_check.h).

// Finishes `builder` with `message` as the root Envelope and puts the frame header in front.
[[nodiscard]] FrameBytes finish_frame(flatbuffers::FlatBufferBuilder& builder, fbs::Message type,
                                      flatbuffers::Offset<void> message,
                                      std::uint64_t attachment_bytes = 0);

struct HelloFields {
  std::string_view device;
  std::span<const std::uint8_t, 32> model_identity;
  std::uint16_t lowest_version = 0;
  std::uint64_t features = 0;
  std::string_view token = {};       // empty: none is sent
  std::string_view model_name = {};  // empty: none is sent
};
[[nodiscard]] FrameBytes make_hello(const HelloFields& fields);

struct WelcomeFields {
  std::string_view server;
  std::uint64_t session_id = 0;
  std::uint32_t max_inflight = 1;  // at least 1
  std::uint64_t max_picture_bytes = 0;
  const ProfileData* profile = nullptr;  // null: none is sent
  std::uint64_t features = 0;
  std::uint32_t heartbeat_ms = 0;
  std::span<const std::uint8_t> current_model = {};   // empty or 32 bytes
  std::uint16_t protocol_version = kProtocolVersion;  // the one agreed on
};
[[nodiscard]] FrameBytes make_welcome(const WelcomeFields& fields);

struct RequestFields {
  std::uint64_t request_id = 0;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;
  std::uint64_t remaining_ns = 0;
};
[[nodiscard]] FrameBytes make_request(const RequestFields& fields, std::uint64_t attachment_bytes);
[[nodiscard]] FrameBytes make_cancel(std::uint64_t request_id);

struct FetchFields {
  std::uint64_t fetch_id = 0;
  std::span<const std::uint8_t, 32> sha256;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  // 1..kMaxPieceBytes
};
[[nodiscard]] FrameBytes make_fetch(const FetchFields& fields);
[[nodiscard]] FrameBytes make_piece(std::uint64_t fetch_id, std::uint64_t total_bytes,
                                    std::uint32_t attachment_bytes);

struct ServerTimes {
  std::uint64_t residence_ns = 0, queue_ns = 0, decode_ns = 0, compute_ns = 0;
};
[[nodiscard]] FrameBytes make_answer(std::uint64_t request_id, std::span<const float> scores,
                                     const ServerTimes& times, bool repeated = false);
[[nodiscard]] FrameBytes make_error(std::uint64_t request_id, fbs::ErrorCode code,
                                    std::string_view text, std::uint32_t retry_after_ms = 0);
[[nodiscard]] FrameBytes make_ping(std::uint64_t nonce);
[[nodiscard]] FrameBytes make_pong(std::uint64_t nonce);
[[nodiscard]] FrameBytes make_goodbye(std::string_view reason);

}  // namespace cleave
