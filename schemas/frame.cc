// SPDX-License-Identifier: Apache-2.0
#include "schemas/frame.h"

#include <algorithm>
#include <string>

#include "schemas/little_endian.h"

namespace cleave {
namespace {

constexpr std::array<std::byte, 4> kFrameMagic = {std::byte{'C'}, std::byte{'L'}, std::byte{'V'},
                                                  std::byte{'F'}};
constexpr std::size_t kFrameVersionOffset = 4;
constexpr std::size_t kFlagsOffset = 6;
constexpr std::size_t kMessageBytesOffset = 8;
constexpr std::size_t kReservedOffset = 12;
constexpr std::size_t kAttachmentBytesOffset = 16;

Status over_limit(const char* what, std::uint64_t bytes, std::uint64_t limit) {
  return {StatusCode::kOutOfRange, std::string("frame: ") + what + " of " + std::to_string(bytes) +
                                       " bytes, at most " + std::to_string(limit) +
                                       " are accepted here"};
}

}  // namespace

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  std::ranges::copy(kFrameMagic, bytes.begin());
  store_little_endian(bytes, kFrameVersionOffset, header.version);
  store_little_endian(bytes, kMessageBytesOffset, header.message_bytes);
  store_little_endian(bytes, kAttachmentBytesOffset, header.attachment_bytes);
  return bytes;
}

Result<FrameHeader> decode_frame_header(std::span<const std::byte, kFrameHeaderBytes> bytes,
                                        const FrameLimits& limits) {
  if (!std::equal(kFrameMagic.begin(), kFrameMagic.end(), bytes.begin())) {
    return Status(StatusCode::kCorrupt, "frame: the peer does not speak cleave's protocol");
  }
  FrameHeader header;
  header.version = load_little_endian<std::uint16_t>(bytes, kFrameVersionOffset);
  if (header.version < kLowestProtocolVersion || header.version > kProtocolVersion) {
    return Status(StatusCode::kMismatch, "frame: the peer speaks protocol version " +
                                             std::to_string(header.version) + ", this build " +
                                             std::to_string(kProtocolVersion));
  }
  if (load_little_endian<std::uint16_t>(bytes, kFlagsOffset) != 0 ||
      load_little_endian<std::uint32_t>(bytes, kReservedOffset) != 0) {
    return Status(StatusCode::kCorrupt, "frame: flags or reserved bytes are not zero");
  }
  header.message_bytes = load_little_endian<std::uint32_t>(bytes, kMessageBytesOffset);
  header.attachment_bytes = load_little_endian<std::uint64_t>(bytes, kAttachmentBytesOffset);
  if (header.message_bytes == 0) return Status(StatusCode::kCorrupt, "frame: empty message");
  if (header.message_bytes > limits.max_message_bytes) {
    return over_limit("a message", header.message_bytes, limits.max_message_bytes);
  }
  if (header.attachment_bytes > limits.max_attachment_bytes) {
    return over_limit("an attachment", header.attachment_bytes, limits.max_attachment_bytes);
  }
  return header;
}

}  // namespace cleave
