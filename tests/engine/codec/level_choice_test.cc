// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>

#include "engine/codec/bit_costs.h"
#include "engine/codec/coded_steps.h"
#include "engine/codec/coded_values.h"
#include "engine/codec/level_coder.h"
#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

using codec::BoundaryTensor;
using codec::CodedQuality;
using codec::CodedTensorTable;
using codec::LevelCoder;

constexpr std::uint8_t kWeight = 26;
constexpr BoundaryTensor kInt8Tensor{
    .dtype = fbs::DType::S8, .zero_point = 3, .positions = 35, .width = 7, .channels = 4};

// int8 ones 60 times as large.
Crossing crossing_of(const BoundaryTensor& tensor, const Values& values) {
  if (tensor.is_f32()) return {{bytes_of(values)}};
  Bytes bytes;
  for (const float value : values)
    bytes.push_back(static_cast<std::byte>(static_cast<int>(value * 60)));
  return {{bytes}};
}

CodedQuality weighted(CodedQuality quality, std::uint8_t weight = kWeight) {
  for (CodedTensorTable& table : quality.tensors) table.bit_weight = weight;
  return quality;
}

// Whose probabilities a seed decides.
CodedTensorTable table_of(bool has_sign, std::uint64_t seed, std::uint8_t weight) {
  CodedTensorTable table{.step = kFineStep,
                         .rounding = 85,
                         .bit_weight = weight,
                         .has_sign = has_sign,
                         .centroids = {80, 85, 90, 95, 100, 105, 110},
                         .channel_class = {0},
                         .channel_classes = 1,
                         .probabilities = {}};
  for (const float value : random_values(codec::kProbabilitiesPerClass, seed, 128)) {
    table.probabilities.push_back(static_cast<std::uint8_t>(std::clamp(value + 128, 0.0F, 255.0F)));
  }
  return table;
}

// The level of a value that has zeros alone around it, at the beginning of a tensor.
int chosen_level(const CodedTensorTable& table, std::int16_t place) {
  LevelCoder coder(table, 1, 1);
  codec::RangeEncoder encoder({});
  coder.start();
  const auto row = coder.next_row();
  coder.choose_and_encode_row({&place, 1}, encoder);
  return row[0];
}

// Of a magnitude in that context, by the grammar, in doubles.
double bits_of(const CodedTensorTable& table, int magnitude, bool is_negative) {
  const std::size_t around = table.has_sign ? 24 : 0;  // the class of zeros
  const auto cost = [&](std::size_t question, bool yes) {
    const double p = (2.0 * table.probabilities[around * codec::kQuestions + question] + 1) / 512;
    return -std::log2(yes ? p : 1 - p);
  };
  if (magnitude == 0) return cost(0, true);
  double bits = cost(0, false) + (table.has_sign ? cost(1, is_negative) : 0);
  for (int than = 1; than <= std::min(magnitude, 6); ++than) {
    bits += cost(static_cast<std::size_t>(than) + 1, magnitude > than);
  }
  return bits;
}

double cost_of(const CodedTensorTable& table, int magnitude, int place) {
  const double off = (std::abs(place) - codec::place_of(table, magnitude)) / 256.0;
  return off * off + table.bit_weight / 256.0 * bits_of(table, magnitude, place < 0);
}

// As ReLU and a network leave them: many small values, few large ones.
Values skewed_values(std::size_t count, std::uint64_t seed) {
  Values values = random_values(count, seed, 1);
  for (float& value : values) value = value * value * value * 2;
  return values;
}

}  // namespace

TEST_CASE("what a bit costs is the logarithm of its probability") {
  for (std::size_t i = 0; i < codec::kBitCosts.size(); ++i) {
    const double exact = -256 * std::log2((static_cast<double>(i) + 0.5) / 512);
    REQUIRE(std::abs(codec::kBitCosts[i] - exact) <= 1);
  }
  const codec::BitModel likely{.quick = 0xFFFF, .slow = 0xFFFF};
  CHECK(codec::bit_cost(likely, true) <= 1);
  CHECK(codec::bit_cost(likely, false) == 10 * 256);
  CHECK(codec::bit_cost({}, true) + codec::bit_cost({}, false) ==
        doctest::Approx(512).epsilon(0.01));
}

TEST_CASE(
    "the level that is chosen costs least of the nearest one and those below, down to one that "
    "costs more") {
  std::size_t below = 0;
  for (const bool has_sign : {false, true}) {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const auto weight = static_cast<std::uint8_t>(seed * 23);
      const CodedTensorTable table = table_of(has_sign, seed, weight);
      for (int place = has_sign ? -1700 : 0; place < 1700; place += 3) {
        CAPTURE(has_sign);
        CAPTURE(seed);
        CAPTURE(place);
        const int chosen = chosen_level(table, static_cast<std::int16_t>(place));
        REQUIRE((chosen == 0 || (chosen < 0) == (place < 0)));
        int expected = (std::abs(place) + 128) / 256;
        if (expected >= 7) {
          REQUIRE(std::abs(chosen) == (std::abs(place) + 85) / 256);
          continue;
        }
        double least = cost_of(table, expected, place);
        bool is_near = false;  // costs are rounded to 1/256 bit, and probabilities to 1/512
        while (expected > 0) {
          const double next = cost_of(table, expected - 1, place);
          is_near = is_near || std::abs(next - least) < 0.02;
          if (next > least) break;
          least = next;
          --expected;
          ++below;
        }
        if (!is_near) REQUIRE(std::abs(chosen) == expected);
      }
    }
  }
  CHECK(below > 1000);
}

TEST_CASE("a weight of 0 takes the nearest level, from 7 on the rounded one") {
  const CodedTensorTable table = table_of(true, 3, 0);
  struct Chosen {
    std::int16_t place;
    int level;
  };
  for (const Chosen& chosen : {Chosen{0, 0}, Chosen{127, 0}, Chosen{-127, 0}, Chosen{200, 1},
                               Chosen{-330, -1}, Chosen{-600, -2}, Chosen{1500, 6}, Chosen{1706, 6},
                               Chosen{1707, 7}, Chosen{-32512, -127}, Chosen{32512, 127}}) {
    CAPTURE(chosen.place);
    CHECK(chosen_level(table, chosen.place) == chosen.level);
  }
}

TEST_CASE("levels that are chosen take fewer bits, and errors and bits add up to less") {
  for (const bool turned : {false, true}) {
    CAPTURE(turned);
    CodedQuality rounded =
        turned ? turned_quality(kSampleTensor, 2) : sample_quality({kSampleTensor}, kFineStep);
    rounded.tensors[0].has_sign = true;
    rounded.tensors[0].rounding = 128;  // to the nearest
    rounded.tensors[0].centroids.fill(128);
    const auto as_rounded = codec_for(rounded), as_chosen = codec_for(weighted(rounded));
    double rounded_bits = 0, chosen_bits = 0, rounded_error = 0, chosen_error = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Values values = skewed_values(kSampleTensor.elements(), seed);
      const Crossing sent{{bytes_of(values)}};
      const auto error = [&](BoundaryCodec& codec) {
        const Values arrived = floats_of(carried(codec, sent).tensors[0]);
        double sum = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double off = (arrived[i] - values[i]) / (turned ? 0.25 : 0.125);
          sum += off * off;
        }
        return sum;
      };
      rounded_bits += 8.0 * static_cast<double>(encoded(*as_rounded, sent).size());
      chosen_bits += 8.0 * static_cast<double>(encoded(*as_chosen, sent).size());
      rounded_error += error(*as_rounded);
      chosen_error += error(*as_chosen);
    }
    CHECK(chosen_bits < rounded_bits);
    CHECK(chosen_error + kWeight / 256.0 * chosen_bits <
          rounded_error + kWeight / 256.0 * rounded_bits);
  }
}

TEST_CASE("what was chosen is what arrives, of f32, int8 and turned tensors") {
  for (const BoundaryTensor& tensor : {kSampleTensor, kInt8Tensor}) {
    for (std::uint8_t side = 0; side <= (tensor.is_f32() ? 4 : 0); ++side) {
      if (side == 3) continue;
      CAPTURE(static_cast<int>(side));
      const CodedQuality quality =
          weighted(side == 0 ? sample_quality({tensor}, kFineStep) : turned_quality(tensor, side));
      const auto codec = codec_for(quality, tensor);
      const Crossing sent = crossing_of(tensor, skewed_values(tensor.elements(), 8));
      const Bytes stream = encoded(*codec, sent);
      REQUIRE(stream.front() == std::byte{1});
      // The same levels through a coder alone.
      const CodedTensorTable& table = quality.tensors[0];
      const BoundaryTensor shape = codec::coded_shape(tensor, table);
      codec::CodedValues places_of(tensor, table);
      LevelCoder coder(table, shape.width, shape.channels);
      const std::size_t row = places_of.elements() / places_of.rows();
      std::vector<std::int16_t> places(row);
      codec::RangeEncoder nowhere({});
      Crossing expected{{Bytes(tensor.bytes())}};
      coder.start();
      for (std::size_t y = 0; y < places_of.rows(); ++y) {
        const auto levels = coder.next_row();
        places_of.place_row(sent.tensors[0], y, places);
        coder.choose_and_encode_row(places, nowhere);
        places_of.restore_row(levels, y, expected.tensors[0]);
      }
      CHECK(carried(*codec, sent) == expected);
    }
  }
}

TEST_CASE("choosing allocates nothing, turned or not") {
  for (const bool turned : {false, true}) {
    const auto codec = codec_for(weighted(turned ? turned_quality(kSampleTensor, 2)
                                                 : sample_quality({kSampleTensor}, kFineStep)));
    const Crossing crossing{{bytes_of(skewed_values(kSampleTensor.elements(), 4))}};
    Bytes out(codec->max_encoded_bytes());
    const auto from = crossing.read();
    const std::uint64_t news = operator_new_calls();
    (void)codec->encode(from, out);
    CHECK(operator_new_calls() == news);
  }
}

TEST_CASE("what is no number is chosen as 0, and infinity as the last level") {
  CodedQuality quality = weighted(sample_quality({kSampleTensor}, kFineStep));
  quality.tensors[0].has_sign = true;
  const auto codec = codec_for(quality);
  Values values = skewed_values(kSampleTensor.elements(), 4);
  values[7] = 0;
  const Bytes with_zero = encoded(*codec, Crossing{{bytes_of(values)}});
  values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(encoded(*codec, Crossing{{bytes_of(values)}}) == with_zero);
  values[7] = kInfinity;
  values[8] = -kInfinity;
  const Values arrived = floats_of(carried(*codec, Crossing{{bytes_of(values)}}).tensors[0]);
  CHECK(arrived[7] > 15.8F);
  CHECK(arrived[8] < -15.8F);
}

TEST_CASE("what would take more than a byte a value is stored as levels that are rounded") {
  const CodedQuality quality = sample_quality({kSampleTensor}, kFineStep);
  Values values = random_values(kSampleTensor.elements(), 3, 1e4F);  // nearly all beyond the last
  for (float& value : values) value = std::abs(value);
  const Crossing sent{{bytes_of(values)}};
  const Bytes stream = encoded(*codec_for(weighted(quality)), sent);
  CHECK(stream.front() == std::byte{0});
  CHECK(stream == encoded(*codec_for(quality), sent));
  CHECK(floats_of(carried(*codec_for(weighted(quality)), sent).tensors[0])[0] > 15.8F);
}

TEST_CASE("streams of levels that are chosen are written and read as they were") {
  const auto with_sign = [](CodedQuality quality) {
    quality.tensors[0].has_sign = true;
    return quality;
  };
  struct Golden {
    const char* name;
    BoundaryTensor tensor;
    CodedQuality quality;
  };
  for (const Golden& golden :
       {Golden{"unsigned", kSampleTensor, sample_quality({kSampleTensor}, kFineStep)},
        Golden{"signed", kSampleTensor, with_sign(sample_quality({kSampleTensor}, kCoarseStep))},
        Golden{"int8", kInt8Tensor, sample_quality({kInt8Tensor}, kCoarseStep)},
        Golden{"turned_1", kSampleTensor, turned_quality(kSampleTensor, 1)},
        Golden{"turned_2", kSampleTensor, turned_quality(kSampleTensor, 2)},
        Golden{"turned_4", kSampleTensor, turned_quality(kSampleTensor, 4)}}) {
    CAPTURE(golden.name);
    const std::string path = std::string("tests/golden/codec_v3/") + golden.name;
    const auto codec = codec_for(weighted(golden.quality), golden.tensor);
    const Crossing sent = crossing_of(golden.tensor, random_values(golden.tensor.elements(), 42));
    const Bytes stream = encoded(*codec, sent);
    REQUIRE(stream.front() == std::byte{1});
    const Bytes arrived = carried(*codec, sent).tensors[0];
    check_golden(path, stream, arrived);
  }
}

}  // namespace cleave::test
