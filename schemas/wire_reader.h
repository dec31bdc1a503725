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

#include "schemas/generated/wire_generated.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::size_t kMaxScores = 65536;
inline constexpr std::size_t kMaxTextBytes = 1024;

// The verified message inside `bytes`, which must outlive it and be aligned to 8.
// Errors: kCorrupt with the field that does not check; kInternal when `bytes` are not aligned.
[[nodiscard]] Result<const fbs::Envelope*> parse_message(std::span<const std::byte> bytes);

// A Request has an attachment, nothing else has one. Errors: kCorrupt.
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

[[nodiscard]] FrameBytes make_hello(std::string_view device,
                                    std::span<const std::uint8_t, 32> model_identity);

struct WelcomeFields {
  std::string_view server;
  std::uint64_t session_id = 0;
  std::uint32_t max_inflight = 1;  // at least 1
  std::uint64_t max_picture_bytes = 0;
  const ProfileData* profile = nullptr;  // null: none is sent
};
[[nodiscard]] FrameBytes make_welcome(const WelcomeFields& fields);

[[nodiscard]] FrameBytes make_request(std::uint64_t request_id, std::uint32_t variant,
                                      std::uint32_t cut, fbs::Codec codec,
                                      std::uint64_t remaining_ns, std::uint64_t attachment_bytes);

struct ServerTimes {
  std::uint64_t residence_ns = 0, queue_ns = 0, decode_ns = 0, compute_ns = 0;
};
[[nodiscard]] FrameBytes make_answer(std::uint64_t request_id, std::span<const float> scores,
                                     const ServerTimes& times);
[[nodiscard]] FrameBytes make_error(std::uint64_t request_id, fbs::ErrorCode code,
                                    std::string_view text, std::uint32_t retry_after_ms = 0);
[[nodiscard]] FrameBytes make_ping(std::uint64_t nonce);
[[nodiscard]] FrameBytes make_pong(std::uint64_t nonce);
[[nodiscard]] FrameBytes make_goodbye(std::string_view reason);

}  // namespace cleave
