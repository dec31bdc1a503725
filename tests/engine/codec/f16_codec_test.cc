// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

std::unique_ptr<BoundaryCodec> f16(const ModelFile& model, OpIndex cut) {
  return make_codec(model, cut, fbs::Codec::F16);
}

Values six_carried(const Values& values) {
  const auto model = codec_model();
  Crossing crossing = empty_crossing(*model, 6);
  crossing.tensors[0] = bytes_of(values);
  return floats_of(carried(*f16(*model, 6), crossing).tensors[0]);
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

}  // namespace

TEST_CASE("f16 is little endian binary16, to nearest, ties to even") {
  const auto model = codec_model();
  Crossing crossing = empty_crossing(*model, 6);
  crossing.tensors[0] = bytes_of({1.0F, -2.0F, 0x1.002p0F, 0x1.006p0F, 0x1p-24F, 0x1p-25F});
  const Bytes stream = encoded(*f16(*model, 6), crossing);
  const unsigned expected[] = {0x3C00, 0xC000, 0x3C00, 0x3C02, 0x0001, 0x0000};
  REQUIRE(stream.size() == 12);
  for (std::size_t i = 0; i < 6; ++i) {
    const unsigned half = std::to_integer<unsigned>(stream[2 * i]) |
                          std::to_integer<unsigned>(stream[2 * i + 1]) << 8;
    CHECK(half == expected[i]);
  }
}

TEST_CASE("f16: what is finite stays finite; infinity and NaN stay what they are") {
  const Values arrived = six_carried({65504.0F, 65520.0F, -3.4e38F, kInfinity, -kInfinity, 0.0F});
  CHECK(arrived == Values{65504.0F, 65504.0F, -65504.0F, kInfinity, -kInfinity, 0.0F});
  const float odd_nan = std::bit_cast<float>(0xFFA00001U);  // signalling, with a payload
  const Values nans = six_carried({std::nanf(""), odd_nan, -0.0F, 1e-45F, 0.0F, 1.0F});
  CHECK(bits(nans[0]) == 0x7FC00000U);
  CHECK(bits(nans[1]) == 0xFFC00000U);
  CHECK(bits(nans[2]) == 0x80000000U);
  CHECK(nans[3] == 0.0F);
}

TEST_CASE("f16: no NaN of a stream brings its payload along") {
  const auto model = codec_model();
  Bytes stream(12, std::byte{0});
  stream[0] = std::byte{0x01};  // 7D01
  stream[1] = std::byte{0x7D};
  Crossing arrived = empty_crossing(*model, 6);
  require_ok(decode(*f16(*model, 6), stream, arrived));
  CHECK(bits(floats_of(arrived.tensors[0])[0]) == 0x7FC00000U);
}

TEST_CASE("f16: int8 tensors cross beside as they are") {
  const auto model = codec_model();
  const Crossing crossing = seeded_crossing(*model, 2, 5);
  REQUIRE(crossing.tensors.size() == 2);
  const auto codec = f16(*model, 2);
  CHECK(codec->max_encoded_bytes() == 2 * 385 + 385);
  const Crossing arrived = carried(*codec, crossing);
  CHECK(arrived.tensors[1] == crossing.tensors[1]);
  const Values sent = floats_of(crossing.tensors[0]);
  const Values got = floats_of(arrived.tensors[0]);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    CHECK(std::abs(sent[i] - got[i]) <= std::abs(sent[i]) * 0x1p-11F);
  }
}

}  // namespace cleave::test
