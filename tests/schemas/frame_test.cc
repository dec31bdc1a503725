// SPDX-License-Identifier: Apache-2.0
#include "schemas/frame.h"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>

namespace cleave {
namespace {

using Bytes = std::array<std::byte, kFrameHeaderBytes>;

constexpr FrameLimits kLimits{.max_message_bytes = 1000, .max_attachment_bytes = 1'000'000};

StatusCode code_of(const Bytes& bytes, const FrameLimits& limits = kLimits) {
  return decode_frame_header(bytes, limits).status().code();
}

TEST_CASE("the header of version 2, byte by byte") {
  const Bytes bytes = encode_frame_header(
      {.message_bytes = 0x0102'0304, .attachment_bytes = 0x1112'1314'1516'1718});
  const std::array<unsigned char, kFrameHeaderBytes> expected = {
      'C',  'L',  'V',  'F',  2,    0,    0,    0,  // magic, version, flags
      0x04, 0x03, 0x02, 0x01, 0,    0,    0,    0,  // message_bytes, reserved
      0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(std::to_integer<int>(bytes[i]) == expected[i]);
  }
}

TEST_CASE("what is encoded is decoded, up to the limits and not beyond") {
  const auto header = decode_frame_header(
      encode_frame_header({.message_bytes = 1000, .attachment_bytes = 1'000'000}), kLimits);
  REQUIRE(header.is_ok());
  CHECK(header->message_bytes == 1000);
  CHECK(header->attachment_bytes == 1'000'000);
  CHECK(code_of(encode_frame_header({.message_bytes = 1})) == StatusCode::kOk);
  CHECK(code_of(encode_frame_header({.message_bytes = 1001})) == StatusCode::kOutOfRange);
  CHECK(code_of(encode_frame_header({.message_bytes = 1, .attachment_bytes = 1'000'001})) ==
        StatusCode::kOutOfRange);
  CHECK(code_of(encode_frame_header({.message_bytes = ~0u, .attachment_bytes = ~0ull})) ==
        StatusCode::kOutOfRange);
  CHECK(code_of(encode_frame_header({.message_bytes = 1, .attachment_bytes = 1}),
                {.max_message_bytes = 10, .max_attachment_bytes = 0}) == StatusCode::kOutOfRange);
}

TEST_CASE("an empty message, another version, another protocol") {
  CHECK(code_of(encode_frame_header({.message_bytes = 0})) == StatusCode::kCorrupt);
  for (const auto version : std::initializer_list<std::uint16_t>{0, 1, 3, 0xffff}) {
    CAPTURE(version);
    CHECK(code_of(encode_frame_header({.version = version, .message_bytes = 5})) ==
          StatusCode::kMismatch);
  }
  Bytes http{};
  const std::string_view get = "GET / HTTP/1.1\r\nHost: a";
  for (std::size_t i = 0; i < get.size(); ++i) http[i] = static_cast<std::byte>(get[i]);
  CHECK(code_of(http) == StatusCode::kCorrupt);
}

TEST_CASE("every flipped bit outside the lengths is refused") {
  const Bytes good = encode_frame_header({.message_bytes = 64, .attachment_bytes = 64});
  for (std::size_t bit = 0; bit < 8 * kFrameHeaderBytes; ++bit) {
    const std::size_t at = bit / 8;
    if ((at >= 8 && at < 12) || at >= 16) continue;
    Bytes flipped = good;
    flipped[at] ^= std::byte{1} << (bit % 8);
    CAPTURE(bit);
    CHECK(code_of(flipped) == (at == 4 || at == 5 ? StatusCode::kMismatch : StatusCode::kCorrupt));
  }
}

}  // namespace
}  // namespace cleave
