// SPDX-License-Identifier: Apache-2.0
//
// A stream of frames from a hostile peer, as agent and server read one: header, message, attachment
// skipped, next header.
#include <algorithm>

#include "schemas/frame.h"
#include "schemas/wire_reader.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace cleave;

constexpr FrameLimits kLimits{.max_message_bytes = 1u << 16, .max_attachment_bytes = 1u << 16};

// Bytes that the first frame takes, or 0 when there is none that can be read.
std::size_t read_frame(std::span<const std::byte> stream) {
  if (stream.size() < kFrameHeaderBytes) return 0;
  const auto bytes = stream.first<kFrameHeaderBytes>();
  const auto header = decode_frame_header(bytes, kLimits);
  if (!header.is_ok()) {
    fuzz::require_clean_error(header.status());
    return 0;
  }
  fuzz::require(header->message_bytes > 0 && header->message_bytes <= kLimits.max_message_bytes &&
                    header->attachment_bytes <= kLimits.max_attachment_bytes,
                "lengths are within the limits");
  const auto again = encode_frame_header(*header);
  fuzz::require(std::equal(again.begin(), again.end(), bytes.begin()),
                "a header that was read is written the same");
  const std::size_t frame_bytes = kFrameHeaderBytes + header->message_bytes;
  if (stream.size() < frame_bytes) return 0;
  const auto text = stream.subspan(kFrameHeaderBytes, header->message_bytes);
  const std::vector<std::byte> message(text.begin(), text.end());
  const auto envelope = parse_message(message);
  if (!envelope.is_ok()) {
    fuzz::require_clean_error(envelope.status());
    return 0;
  }
  const Status attachment = check_attachment(**envelope, header->attachment_bytes);
  if (!attachment.is_ok()) return 0;
  return frame_bytes + static_cast<std::size_t>(header->attachment_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
  std::span<const std::byte> stream(bytes);
  while (const std::size_t used = read_frame(stream)) {
    stream = stream.subspan(std::min(used, stream.size()));
  }
  return 0;
}
