// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

constexpr std::size_t kChannels = 11, kPositions = 35;

std::unique_ptr<BoundaryCodec> int8(const ModelFile& model, OpIndex cut) {
  return make_codec(model, cut, fbs::Codec::Int8);
}

struct Range {
  double low = 0, high = 0;
};

// The finest step of 16 bits with which the range fits into 254 of them, as the grammar says.
double step_of(const Range& range) {
  const double exact = std::clamp((range.high - range.low) / 254, 0x1p-110, 0x1p115);
  int exponent = 0;
  const double fraction = std::frexp(exact, &exponent);  // in [0.5, 1), of 8 bits
  return std::ldexp(std::ceil(fraction * 256), exponent - 8);
}

// What a value becomes, by doubles.
double oracle(double value, const Range& range) {
  const double step = step_of(range);
  const double zero = std::floor(-range.low / step + 0.5);
  const double level = std::clamp(std::nearbyint(value / step) + zero, 0.0, 255.0);
  return (level - zero) * step;
}

Range range_of(const Values& values, std::size_t first, std::size_t stride) {
  Range range;
  for (std::size_t i = first; i < values.size(); i += stride) {
    range.low = std::min(range.low, double{values[i]});
    range.high = std::max(range.high, double{values[i]});
  }
  return range;
}

Values six_carried_in_int8(const Values& values) {
  const auto model = codec_model();
  Crossing crossing = empty_crossing(*model, 6);
  crossing.tensors[0] = bytes_of(values);
  return floats_of(carried(*int8(*model, 6), crossing).tensors[0]);
}

// Channels unlike each other by powers of ten.
Crossing uneven_crossing(const ModelFile& model) {
  Values values = random_values(kChannels * kPositions, 21);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] *= std::pow(10.0F, static_cast<float>(i % kChannels) - 5);
  }
  Crossing crossing = empty_crossing(model, 1);
  crossing.tensors[0] = bytes_of(values);
  return crossing;
}

}  // namespace

TEST_CASE("int8: from 32 positions on each channel has its range, else the tensor has one") {
  const auto model = codec_model();
  CHECK(int8(*model, 1)->max_encoded_bytes() == 3 * kChannels + kChannels * kPositions);
  CHECK(int8(*model, 2)->max_encoded_bytes() == 3 * kChannels + 2 * kChannels * kPositions);
  CHECK(int8(*model, 6)->max_encoded_bytes() == 3 + 6);
}

TEST_CASE("int8: every value is what the grammar says, within half a step of what was sent") {
  const auto model = codec_model();
  const Crossing crossing = uneven_crossing(*model);
  const Values sent = floats_of(crossing.tensors[0]);
  const Values got = floats_of(carried(*int8(*model, 1), crossing).tensors[0]);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const Range range = range_of(sent, i % kChannels, kChannels);
    CAPTURE(i);
    CHECK(double{got[i]} == oracle(double{sent[i]}, range));
    CHECK(std::abs(double{got[i]} - double{sent[i]}) <= step_of(range) * 0.5001);
  }
}

TEST_CASE("int8: few channels make long rows, with a rest, and the same values") {
  const auto model = large_model();  // 150x150x3
  const Crossing crossing = seeded_crossing(*model, 1, 31);
  const Values sent = floats_of(crossing.tensors[0]);
  const Values got = floats_of(carried(*int8(*model, 1), crossing).tensors[0]);
  const Range ranges[] = {range_of(sent, 0, 3), range_of(sent, 1, 3), range_of(sent, 2, 3)};
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    wrong += double{got[i]} == oracle(double{sent[i]}, ranges[i % 3]) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("int8: the stream is step, zero, levels") {
  const auto model = codec_model();
  Crossing crossing = empty_crossing(*model, 6);
  crossing.tensors[0] = bytes_of({-127.0F, 127.0F, 0.0F, 1.0F, 0.5F, 1.5F});
  const Bytes stream = encoded(*int8(*model, 6), crossing);
  // A step of 1 is 3F80; ties go to even.
  const unsigned expected[] = {0x80, 0x3F, 127, 0, 254, 127, 128, 127, 129};
  REQUIRE(stream.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(std::to_integer<unsigned>(stream[i]) == expected[i]);
}

TEST_CASE("int8: zero stays zero, and NaN becomes it; infinity is the largest that is finite") {
  const Values arrived =
      six_carried_in_int8({std::nanf(""), 0.0F, kInfinity, -kInfinity, 127.0F, -127.0F});
  CHECK(arrived[0] == 0.0F);
  CHECK(arrived[1] == 0.0F);
  CHECK(arrived[4] == 127.0F);
  CHECK(arrived[5] == -127.0F);
  CHECK(arrived[2] == 128.0F);  // a byte goes up to 255: one step more
  CHECK(arrived[3] == -127.0F);
}

TEST_CASE("int8: extremes of f32 give finite numbers") {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (const Values& values :
       {Values{kMost, -kMost, 0.0F, 1.0F, 1e30F, -1e30F}, Values(6, kMost), Values(6, -kMost),
        Values(6, 1e-45F), Values(6, std::nanf("")), Values(6, kInfinity), Values(6, 0.0F)}) {
    for (const float value : six_carried_in_int8(values)) CHECK(std::isfinite(value));
  }
  CHECK(six_carried_in_int8(Values(6, std::nanf(""))) == Values(6, 0.0F));
  CHECK(six_carried_in_int8(Values(6, 1e-45F)) == Values(6, 0.0F));
  // Beyond 2^120 is taken for that; the step is rounded up, and a byte has one more.
  for (const float value : six_carried_in_int8(Values(6, kMost))) {
    CHECK(value >= 0x1p120F);
    CHECK(value <= 0x1.04p120F);
  }
}

TEST_CASE("int8: steps that no encoder writes are refused, all others give finite numbers") {
  const auto model = codec_model();
  const auto codec = int8(*model, 6);
  Crossing arrived = empty_crossing(*model, 6);
  for (std::uint32_t step = 0; step < 65536; ++step) {
    Bytes stream(9, std::byte{255});
    stream[0] = static_cast<std::byte>(step & 255);
    stream[1] = static_cast<std::byte>(step >> 8);
    stream[2] = std::byte{0};
    const Status status = decode(*codec, stream, arrived);
    const bool is_step = step >= 0x0880 && step <= 0x7900;
    REQUIRE(status.is_ok() == is_step);
    if (is_step) REQUIRE(std::isnormal(floats_of(arrived.tensors[0])[0]));
  }
}

}  // namespace cleave::test
