// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_preamble.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "tests/support/sample_frames.h"

namespace cleave {
namespace {

using Bytes = std::array<std::byte, kModelPreambleBytes>;

ModelPreamble sample() {
  return {.committed = true,
          .header_bytes = 0x0123'4564,
          .file_bytes = 0x12'3456'789a,
          .header_sha256 = test::sample_identity()};
}

TEST_CASE("the preamble of version 1, byte by byte") {
  const Bytes bytes = encode_model_preamble({.committed = true,
                                             .header_bytes = 0x0123'4564,
                                             .file_bytes = 0x12'3456'789a,
                                             .header_sha256 = test::sample_identity()});
  const std::array<unsigned char, 32> fields = {
      0x89, 'C',  'L',  'V',  'M',  0x0d, 0x0a, 0x1a,  // magic
      1,    0,    0,    0,    'D',  'O',  'N',  'E',   // version, commit mark
      0x64, 0x45, 0x23, 0x01, 0,    0,    0,    0,     // header_bytes
      0x9a, 0x78, 0x56, 0x34, 0x12, 0,    0,    0};    // file_bytes
  for (std::size_t i = 0; i < fields.size(); ++i) {
    CHECK(std::to_integer<int>(bytes[i]) == fields[i]);
    CHECK(std::to_integer<std::size_t>(bytes[32 + i]) == i);  // the hash
  }
}

TEST_CASE("what is encoded is decoded") {
  ModelPreamble preamble = sample();
  preamble.header_bytes = 4712;
  const auto decoded = decode_model_preamble(encode_model_preamble(preamble));
  REQUIRE(decoded.is_ok());
  CHECK(decoded->committed);
  CHECK(decoded->header_bytes == 4712);
  CHECK(decoded->file_bytes == preamble.file_bytes);
  CHECK(decoded->header_sha256 == preamble.header_sha256);
}

TEST_CASE("a file without its commit mark is refused") {
  ModelPreamble preamble = sample();
  preamble.committed = false;
  Bytes bytes = encode_model_preamble(preamble);
  CHECK(std::ranges::all_of(std::span(bytes).subspan(kModelCommitOffset, 4),
                            [](std::byte b) { return b == std::byte{0}; }));
  const Status status = decode_model_preamble(bytes).status();
  CHECK(status.code() == StatusCode::kCorrupt);
  CHECK(status.message().find("commit mark") != std::string::npos);
}

TEST_CASE("lengths over the caps, or that contradict each other, are refused") {
  struct Case {
    std::uint64_t header_bytes, file_bytes;
    bool good;
  };
  for (const Case& c : {Case{4, 68, true}, Case{4, 67, false}, Case{5, 1000, false},
                        Case{0, 1000, false}, Case{kMaxModelHeaderBytes, kMaxModelFileBytes, true},
                        Case{kMaxModelHeaderBytes + 1, kMaxModelFileBytes, false},
                        Case{100, kMaxModelFileBytes + 1, false},
                        Case{~std::uint64_t{0}, 10, false}, Case{100, 163, false}}) {
    CAPTURE(c.header_bytes);
    CAPTURE(c.file_bytes);
    ModelPreamble preamble = sample();
    preamble.header_bytes = c.header_bytes;
    preamble.file_bytes = c.file_bytes;
    const auto decoded = decode_model_preamble(encode_model_preamble(preamble));
    CHECK(decoded.is_ok() == c.good);
    if (!c.good) CHECK(decoded.status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("another version is unsupported, another magic is no model file") {
  Bytes bytes = encode_model_preamble(
      {.committed = true, .header_bytes = 8, .file_bytes = 99, .header_sha256 = {}});
  REQUIRE(decode_model_preamble(bytes).is_ok());
  bytes[8] = std::byte{2};
  CHECK(decode_model_preamble(bytes).status().code() == StatusCode::kUnsupported);
  bytes[8] = std::byte{1};
  for (std::size_t i = 0; i < 8; ++i) {
    Bytes other = bytes;
    other[i] ^= std::byte{0x20};
    CHECK(decode_model_preamble(other).status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("segments start on 64 KiB boundaries") {
  CHECK(next_segment_offset(1) == 65536);
  CHECK(next_segment_offset(65536) == 65536);
  CHECK(next_segment_offset(65537) == 131072);
}

}  // namespace
}  // namespace cleave
