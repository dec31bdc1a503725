// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/codec/coded_quantizer.h"
#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

using fbs::Codec;

codec::CodedTensorTable table_of(bool has_sign) {
  return {.step = kFineStep,
          .rounding = 85,
          .has_sign = has_sign,
          .centroids = {80, 85, 90, 95, 100, 105, 110},
          .channel_class = {},
          .channel_classes = 1,
          .probabilities = {}};
}

std::vector<int> levels_of(const Values& values, bool has_sign) {
  const codec::CodedQuantizer quantizer(table_of(has_sign), {});
  std::vector<std::int8_t> levels(values.size());
  quantizer.quantize(bytes_of(values), levels);
  return {levels.begin(), levels.end()};
}

Values values_of(const std::vector<std::int8_t>& levels) {
  const codec::CodedQuantizer quantizer(table_of(true), {});
  Bytes bytes(4 * levels.size());
  quantizer.restore(levels, bytes);
  return floats_of(bytes);
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("a value's level is as the rounding says, and beyond the last one it is the last one") {
  // A level begins at (level - 85 / 256) * 0.125.
  CHECK(levels_of({0, 0.0834F, 0.0836F, 0.125F, 0.2084F, 0.2086F, 15.8F, 1000, 1e30F}, true) ==
        std::vector<int>{0, 0, 1, 1, 1, 2, 126, 127, 127});
  CHECK(levels_of({-0.0F, -0.0834F, -0.0836F, -1000}, true) == std::vector<int>{0, 0, -1, -127});
  CHECK(levels_of({-0.1F, -1000, 0.2F}, false) == std::vector<int>{0, 0, 1});
  CHECK(levels_of({kNaN, -kNaN, kInfinity, -kInfinity, 1e-40F, -1e-40F}, true) ==
        std::vector<int>{0, 0, 127, -127, 0, 0});
}

TEST_CASE("a value's place is in 1/256 of a step, towards zero, and within the last level's") {
  const auto places_of = [](const Values& values, bool has_sign) {
    const codec::CodedQuantizer quantizer(table_of(has_sign), {});
    std::vector<std::int16_t> places(values.size());
    quantizer.place(bytes_of(values), places);
    return places;
  };
  using Places = std::vector<std::int16_t>;
  CHECK(places_of({0, 0.125F, -0.125F, 0.1F, -0.1F, 15.87F, 15.875F, 16, -1e30F}, true) ==
        Places{0, 256, -256, 204, -204, 32501, 32512, 32512, -32512});
  CHECK(places_of({0.125F, -0.125F, -1e30F}, false) == Places{256, 0, 0});
  CHECK(places_of({kNaN, -kNaN, kInfinity, -kInfinity, 1e-40F}, true) ==
        Places{0, 0, 32512, -32512, 0});
  // int8 by what it stands for, from its zero point.
  const codec::BoundaryTensor int8{.dtype = fbs::DType::S8, .zero_point = 3};
  auto table = table_of(true);
  table.step = 0x4100;  // 8
  const codec::CodedQuantizer quantizer(table, int8);
  const Bytes values{std::byte{3}, std::byte{11}, std::byte{4}, std::byte{0xFF}, std::byte{0x80}};
  Places places(values.size());
  quantizer.place(values, places);
  CHECK(places == Places{0, 256, 32, -128, -131 * 32});
}

TEST_CASE("a level's value stands at its centroid, and behind those in the middle") {
  const Values values = values_of({0, 1, -1, 2, 7, 8, 127, -128});
  const auto at = [](int magnitude, int centroid) {
    return 0.125F * static_cast<float>(256 * magnitude + centroid - 85) / 256;
  };
  CHECK(values == Values{0, at(1, 80), -at(1, 80), at(2, 85), at(7, 110), at(8, 128), at(127, 128),
                         -at(127, 128)});
}

TEST_CASE("every level survives, with and without sign, whatever its neighbours") {
  const auto model = codec_model();
  for (const OpIndex cut : {1U, 2U, 3U, 5U, 6U}) {
    for (const std::uint8_t quality : {std::uint8_t{0}, std::uint8_t{1}}) {
      CAPTURE(cut);
      const auto codec = make_codec(*model, cut, Codec::Coded, quality);
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Crossing crossing = seeded_crossing(*model, cut, seed);
        // What arrives has levels of its own: it arrives the same when it is sent again.
        const Crossing once = carried(*codec, crossing);
        if (cut < 6) REQUIRE(encoded(*codec, crossing).front() == std::byte{1});
        REQUIRE(encoded(*codec, once) == encoded(*codec, crossing));
        REQUIRE(carried(*codec, once) == once);
      }
    }
  }
}

TEST_CASE("f32 values are off by less than a step; int8 ones likewise") {
  const auto model = codec_model();
  const auto codec = make_codec(*model, 2, Codec::Coded);
  const Crossing sent = seeded_crossing(*model, 2, 5);
  const Crossing arrived = carried(*codec, sent);
  const Values from = floats_of(sent.tensors[0]);
  const Values to = floats_of(arrived.tensors[0]);
  for (std::size_t i = 0; i < from.size(); ++i) {
    REQUIRE(std::abs(from[i] - to[i]) < 0.125F);
    if (from[i] == 0) REQUIRE(to[i] == 0);
  }
  for (std::size_t i = 0; i < sent.tensors[1].size(); ++i) {
    const int was = static_cast<std::int8_t>(sent.tensors[1][i]);
    const int is = static_cast<std::int8_t>(arrived.tensors[1][i]);
    REQUIRE(std::abs(was - is) <= 8);
  }
}

TEST_CASE("tensors of zeros are nearly nothing") {
  const auto model = large_model();
  const auto codec = make_codec(*model, 1, Codec::Coded);
  const Crossing zeros = empty_crossing(*model, 1);
  CHECK(encoded(*codec, zeros).size() < zeros.bytes() / 1000);
  CHECK(carried(*codec, zeros) == zeros);
}

TEST_CASE("what would take more than a byte a value is stored as levels") {
  const auto model = codec_model();
  const auto codec = make_codec(*model, 1, Codec::Coded);
  Crossing crossing = empty_crossing(*model, 1);
  Values values = random_values(crossing.bytes() / 4, 3, 1e4F);  // nearly all beyond the last level
  for (float& value : values) value = std::abs(value);
  crossing.tensors[0] = bytes_of(values);
  const Bytes stream = encoded(*codec, crossing);
  CHECK(stream.front() == std::byte{0});
  CHECK(stream.size() == crossing.bytes() / 4 + 1);
  const Values arrived = floats_of(carried(*codec, crossing).tensors[0]);
  CHECK(arrived[0] == doctest::Approx(127.17 * 0.125).epsilon(0.001));
}

TEST_CASE("a byte of a stream that changed is noticed") {
  const auto model = codec_model();
  const auto codec = make_codec(*model, 5, Codec::Coded);
  const Bytes stream = encoded(*codec, seeded_crossing(*model, 5, 9));
  Crossing arrived = empty_crossing(*model, 5);
  CHECK(unnoticed_flips(*codec, stream, arrived) == 0);
}

}  // namespace cleave::test
