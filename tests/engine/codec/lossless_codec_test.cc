// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

using fbs::Codec;

std::unique_ptr<BoundaryCodec> lossless(const ModelFile& model, OpIndex cut) {
  return make_codec(model, cut, Codec::Lossless);
}

// A plane of `claimed` bytes, all the same: a frame with one run-length block (RFC 8878).
Bytes run_plane(unsigned value, unsigned claimed = 385) {
  const unsigned field = claimed - 256;     // as a content size of two bytes says it
  const unsigned block = claimed << 3 | 3;  // a run, the last block
  Bytes plane;
  for (const unsigned byte : {11U, 0U, 0x28U, 0xB5U, 0x2FU, 0xFDU, 0x60U, field, field >> 8, block,
                              block >> 8, block >> 16, value}) {
    plane.push_back(static_cast<std::byte>(byte & 255));
  }
  return plane;
}

Bytes run_stream(std::initializer_list<unsigned> values, unsigned claimed = 385) {
  Bytes stream{std::byte{1}};
  for (const unsigned value : values) {
    const Bytes plane = run_plane(value, claimed);
    stream.insert(stream.end(), plane.begin(), plane.end());
  }
  return stream;
}

}  // namespace

TEST_CASE("half of the bytes of a ReLU's zeros and floats are saved") {
  const auto model = large_model();
  const Crossing crossing = seeded_crossing(*model, 1, 11);
  const auto codec = lossless(*model, 1);
  const Bytes stream = encoded(*codec, crossing);
  CHECK(stream.size() < crossing.bytes() * 65 / 100);
  CHECK(carried(*codec, crossing) == crossing);
}

TEST_CASE("constant tensors take some bytes a plane") {
  const auto model = large_model();
  const Crossing zeros = empty_crossing(*model, 1);
  CHECK(encoded(*lossless(*model, 1), zeros).size() < 200);
}

TEST_CASE("what does not shrink is stored") {
  const auto model = codec_model();
  Crossing crossing = empty_crossing(*model, 6);  // 24 bytes: no frame is so short
  crossing.tensors[0] = bytes_of({1.1F, -2.2F, 3.3F, 1e-30F, 5e20F, 0.1F});
  const auto codec = lossless(*model, 6);
  const Bytes stream = encoded(*codec, crossing);
  REQUIRE(stream.size() == 25);
  CHECK(stream[0] == std::byte{0});
  CHECK(Bytes(stream.begin() + 1, stream.end()) == crossing.tensors[0]);
}

TEST_CASE("a stream written by hand to the grammar is read") {
  const auto model = codec_model();
  const auto codec = lossless(*model, 1);
  // 1.0F is 3F800000: least significant plane first.
  const Bytes stream = run_stream({0x00, 0x00, 0x80, 0x3F});
  Crossing arrived = empty_crossing(*model, 1);
  require_ok(decode(*codec, stream, arrived));
  CHECK(floats_of(arrived.tensors[0]) == Values(385, 1.0F));
}

TEST_CASE("a frame that claims more or less than its plane is refused") {
  const auto model = codec_model();
  const auto codec = lossless(*model, 1);
  Crossing arrived = empty_crossing(*model, 1);
  for (const unsigned claimed : {0U, 1U, 384U, 386U, 60000U}) {
    const Bytes stream = run_stream({1, 1, 1, 1}, claimed);
    CHECK(decode(*codec, stream, arrived).code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("forms that no encoder writes are refused") {
  const auto model = codec_model();
  const auto codec = lossless(*model, 6);
  Crossing arrived = empty_crossing(*model, 6);
  for (unsigned form = 2; form < 256; ++form) {
    Bytes stream(25, std::byte{0});
    stream[0] = static_cast<std::byte>(form);
    CHECK(decode(*codec, stream, arrived).code() == StatusCode::kCorrupt);
  }
}

}  // namespace cleave::test
