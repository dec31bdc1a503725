// SPDX-License-Identifier: Apache-2.0
//
// The unit on the wire: a fixed header, one FlatBuffers message, and an attachment of raw bytes
// (boundary tensors or a picture) that is never part of the FlatBuffer, so that it can be received
// straight into the buffer that the executor reads. Grammar and limits: schemas/wire_format.md.
//
//   offset  bytes  field (little endian)
//   0       4      magic "CLVF"
//   4       2      protocol version
//   6       2      flags, 0
//   8       4      message_bytes
//   12      4      reserved, 0
//   16      8      attachment_bytes
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schemas/status.h"

namespace cleave {

inline constexpr std::uint16_t kProtocolVersion = 2;
// The oldest version that this build still reads and writes.
inline constexpr std::uint16_t kLowestProtocolVersion = 2;
inline constexpr std::size_t kFrameHeaderBytes = 24;

// A server's largest message is a Welcome with a profile of 16 variants of 4096 ops: two times of 8
// bytes for each op are 1 MiB already.
inline constexpr std::uint32_t kMaxMessageToAgentBytes = 2u << 20;
// An agent's largest is a text of 1024 bytes and its frame.
inline constexpr std::uint32_t kMaxMessageToServerBytes = 4096;

// Caps that hold before anything is known of the peer.
struct FrameLimits {
  std::uint32_t max_message_bytes = kMaxMessageToAgentBytes;
  std::uint64_t max_attachment_bytes = 0;
};

struct FrameHeader {
  std::uint16_t version = kProtocolVersion;
  std::uint32_t message_bytes = 0;
  std::uint64_t attachment_bytes = 0;
};

// Writes the header's 24 bytes. Never fails.
[[nodiscard]] std::array<std::byte, kFrameHeaderBytes> encode_frame_header(
    const FrameHeader& header);

// Reads a header. Errors: kCorrupt (magic, flags, reserved, empty message),
// kMismatch (a protocol version that this build does not speak), kOutOfRange (over `limits`).
// Allocates nothing on success.
[[nodiscard]] Result<FrameHeader> decode_frame_header(
    std::span<const std::byte, kFrameHeaderBytes> bytes, const FrameLimits& limits);

}  // namespace cleave
