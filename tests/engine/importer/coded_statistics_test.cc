// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/coded_statistics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_steps.h"
#include "engine/importer/coded_directions.h"
#include "tests/support/sanitized.h"

namespace {

using namespace cleave;
using codec::BoundaryTensor;
using codec::CodedTensorTable;
using Bytes = std::vector<std::byte>;

constexpr BoundaryTensor kTensor{
    .dtype = fbs::DType::F32, .positions = 24 * 24, .width = 24, .channels = 6};

// As networks leave them: flat here and busy there, alike among neighbours and channels, and with
// ReLU nothing below zero.
Bytes photo_like(std::uint32_t seed, bool has_sign) {
  std::minstd_rand random(seed + 1);
  const auto noise = [&] {
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(random() / 8 % 2001) / 1000 - 1;
    return sum;
  };
  std::vector<float> values(kTensor.elements());
  const double phase = noise() * 3, wave = 0.2 + 0.1 * noise();
  for (std::size_t p = 0; p < kTensor.positions; ++p) {
    const auto x = static_cast<double>(p % kTensor.width);
    const auto y = static_cast<double>(p / kTensor.width);
    const double busy = 0.15 + 0.9 * std::pow(std::sin(wave * x + phase) * std::cos(wave * y), 2);
    const double shared = noise();
    for (std::size_t c = 0; c < kTensor.channels; ++c) {
      const double value = busy * (noise() + shared) * (1 + static_cast<double>(c) / 4);
      values[p * kTensor.channels + c] =
          static_cast<float>(has_sign ? value : std::max(value, 0.0));
    }
  }
  Bytes bytes(kTensor.bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

struct Cost {
  double bits = 0, error = 0;
  [[nodiscard]] double sum(double step) const { return error + bits * 26 / 256 * step * step; }
};

std::vector<float> floats_of(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Bytes carried(BoundaryCodec& codec, std::span<const std::byte> sent) {
  Bytes stream(codec.max_encoded_bytes()), arrived(sent.size());
  const std::span<const std::byte> from[] = {sent};
  const std::span<std::byte> to[] = {arrived};
  stream.resize(codec.encode(from, stream));
  REQUIRE(codec.decode(stream, to).is_ok());
  return arrived;
}

struct Samples {
  Samples(std::uint32_t count, bool has_sign) {
    for (std::uint32_t seed = 0; seed < count; ++seed) {
      bytes.push_back(photo_like(seed, has_sign));
    }
    all.assign(bytes.begin(), bytes.end());
  }
  std::vector<Bytes> bytes;
  std::vector<std::span<const std::byte>> all;
};

// Of pictures that made no table, with a table of that step.
Cost cost_at(double step, bool is_chosen, std::size_t side) {
  const bool has_sign = side > 0;
  const Samples learnt(12, has_sign);
  const auto& samples = learnt.all;
  const std::vector<double> steps(side * side * kTensor.channels, step);
  CodedTensorTable table =
      side == 0 ? importer::quantizer_table(kTensor, samples, step, false)
                : importer::transform_table(
                      kTensor, samples, importer::find_directions(kTensor, samples), side, steps);
  REQUIRE(table.bit_weight > 0);
  if (!is_chosen) table.bit_weight = 0;
  importer::add_contexts(kTensor, samples, table);
  const auto codec = std::move(codec::make_coded_codec({kTensor}, {{}, {table}})).value();
  Cost cost;
  for (std::uint32_t seed = 100; seed < 112; ++seed) {
    const Bytes sent = photo_like(seed, has_sign);
    Bytes stream(codec->max_encoded_bytes()), arrived(sent.size());
    const std::span<const std::byte> from[] = {sent};
    const std::span<std::byte> to[] = {arrived};
    stream.resize(codec->encode(from, stream));
    REQUIRE(codec->decode(stream, to).is_ok());
    cost.bits += 8.0 * static_cast<double>(stream.size());
    for (std::size_t i = 0; i < sent.size(); i += 4) {
      float was = 0, is = 0;
      std::memcpy(&was, &sent[i], 4);
      std::memcpy(&is, &arrived[i], 4);
      cost.error += (was - is) * (was - is);
    }
  }
  return cost;
}

}  // namespace

// Rounded ones already have a wide interval of zero and centroids: what is left is what contexts
// know.
TEST_CASE("with a calibrated table levels that are chosen cost less than rounded ones") {
  for (const std::size_t side : {std::size_t{0}, std::size_t{2}}) {
    for (const double step : {0.4, 0.8}) {
      CAPTURE(side);
      CAPTURE(step);
      const Cost chosen = cost_at(step, true, side), rounded = cost_at(step, false, side);
      CHECK(chosen.sum(step) < rounded.sum(step));
      CHECK(chosen.error < rounded.error);
    }
  }
}

TEST_CASE("centroids are where the values are whose levels are chosen") {
  const Samples learnt(12, false);
  constexpr double kStep = 0.4;
  CodedTensorTable table = importer::quantizer_table(kTensor, learnt.all, kStep, false);
  const auto rounded = table.centroids;
  importer::add_contexts(kTensor, learnt.all, table);
  CHECK(table.centroids != rounded);
  const auto codec = std::move(codec::make_coded_codec({kTensor}, {{}, {table}})).value();
  const double one = codec::place_of(table, 1) / 256.0 * kStep;
  double sum = 0, count = 0;
  for (const std::span<const std::byte> sent : learnt.all) {
    const std::vector<float> was = floats_of(sent), is = floats_of(carried(*codec, sent));
    for (std::size_t i = 0; i < was.size(); ++i) {
      if (std::abs(is[i] - one) > kStep / 4) continue;
      sum += was[i];
      ++count;
    }
  }
  REQUIRE(count > 1000);
  CHECK(sum / count == doctest::Approx(one).epsilon(0.01));
}

// 24 million values.
TEST_CASE("contexts of a large tensor are of some photos, none of them beside its mirror image" *
          doctest::skip(test::kSanitized)) {
  constexpr BoundaryTensor kLarge{
      .dtype = fbs::DType::F32, .positions = 1000 * 1000, .width = 1000, .channels = 2};
  const Bytes flat(kLarge.bytes());
  Bytes busy(kLarge.bytes());
  for (std::size_t i = 0; i < kLarge.elements(); ++i) {
    const float value = i * 2654435761U % 5 < 2 ? 1.0F : 0.0F;
    std::memcpy(&busy[4 * i], &value, 4);
  }
  // Of six photos and the same mirrored, one is flat: the share of zeros of one that has zeros
  // around it says how often it counts. Twelve samples are too many.
  const auto zeros_among_zeros = [&](std::size_t flat_one) {
    std::vector<std::span<const std::byte>> samples;
    for (std::size_t i = 0; i < 12; ++i) samples.emplace_back(i % 6 == flat_one ? flat : busy);
    CodedTensorTable table = importer::quantizer_table(kLarge, samples, 1, false);
    importer::add_contexts(kLarge, samples, table);
    return static_cast<int>(table.probabilities[0]);
  };
  const int first = zeros_among_zeros(0), second = zeros_among_zeros(1);
  CHECK(first > 0.6 * 256 + 10);
  CHECK(std::abs(first - second) <= 1);
}
