// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/coded_statistics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/codec/codec_factories.h"
#include "engine/importer/coded_directions.h"

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

constexpr double kBitWeight = 26;  // of the tables

struct Cost {
  double bits = 0, error = 0;
};

// Of pictures that made no table, with a table of that step.
Cost cost_at(double step, bool is_chosen, std::size_t side) {
  const bool has_sign = side > 0;
  std::vector<Bytes> learnt;
  for (std::uint32_t seed = 0; seed < 12; ++seed) learnt.push_back(photo_like(seed, has_sign));
  const std::vector<std::span<const std::byte>> samples(learnt.begin(), learnt.end());
  const std::vector<double> steps(side * side * kTensor.channels, step);
  CodedTensorTable table =
      side == 0 ? importer::quantizer_table(kTensor, samples, step, false)
                : importer::transform_table(
                      kTensor, samples, importer::find_directions(kTensor, samples), side, steps);
  REQUIRE(table.bit_weight == kBitWeight);
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
  for (const std::size_t side : {0, 2}) {
    for (const double step : {0.4, 0.8}) {
      CAPTURE(side);
      CAPTURE(step);
      const double bit = kBitWeight / 256 * step * step;
      const Cost chosen = cost_at(step, true, side), rounded = cost_at(step, false, side);
      CAPTURE(chosen.bits / rounded.bits);
      CAPTURE(chosen.error / rounded.error);
      CHECK(chosen.error + bit * chosen.bits < rounded.error + bit * rounded.bits);
      CHECK(chosen.error < rounded.error);
    }
  }
}
