// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/coded_transform.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "tests/engine/codec/codec_fixture.h"

namespace cleave::test {
namespace {

using codec::BoundaryTensor;
using codec::CodedQuality;
using codec::CodedTensorTable;

Values random_tensor(std::uint64_t seed, float scale = 2) {
  return random_values(kSampleTensor.elements(), seed, scale);
}

Values carried_values(BoundaryCodec& codec, const Values& values) {
  return floats_of(carried(codec, Crossing{{bytes_of(values)}}).tensors[0]);
}

// The grammar's arithmetic, in 64 bits and one value at a time.
std::int64_t clamped(std::int64_t value, std::int64_t most) {
  return std::clamp(value, -most, most);
}

std::int64_t sign_of(std::size_t sum, std::size_t position) {
  return __builtin_popcountll(sum & position) % 2 == 0 ? 1 : -1;
}

std::vector<std::int64_t> reference_coefficients(const CodedTensorTable& table,
                                                 const Values& block) {
  const codec::CodedTransformTable& transform = *table.transform;
  const std::size_t channels = kSampleTensor.channels, positions = block.size() / channels;
  const double unit = std::bit_cast<float>(std::uint32_t{table.step} << 16);
  std::vector<std::int64_t> result(block.size());
  for (std::size_t p = 0; p < positions; ++p) {
    for (std::size_t k = 0; k < channels; ++k) {
      std::int64_t sum = 1 << 13;
      for (std::size_t c = 0; c < channels; ++c) {
        const double value = block[p * channels + c];
        const auto nearest =
            static_cast<std::int64_t>(std::min(std::abs(value) * (1 / unit), 16384.0) + 0.5);
        const std::int64_t units = value < 0 ? -nearest : nearest;
        sum += clamped(units - transform.means[c], 4095) * transform.directions[k * channels + c];
      }
      for (std::size_t s = 0; s < positions; ++s) {
        result[s * channels + k] += sign_of(s, p) * clamped(sum >> 14, 8191);
      }
    }
  }
  return result;
}

}  // namespace

TEST_CASE("a turned tensor arrives nearly as it was, whatever the side of its blocks") {
  for (const std::uint8_t side : codec::kTransformSides) {
    CAPTURE(side);
    const auto codec = codec_for(turned_quality(kSampleTensor, side));
    const Values sent = random_tensor(side);
    const Values arrived = carried_values(*codec, sent);
    // Steps are 240 to 246 eighths of 1/128; all coefficients of a block may be a step off.
    double squares = 0;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      squares += (sent[i] - arrived[i]) * (sent[i] - arrived[i]);
    }
    CHECK(std::sqrt(squares / static_cast<double>(sent.size())) < 246.0 / 8 / 128);
  }
}

TEST_CASE("coefficients are what the grammar says, to the last value that fits") {
  for (const std::uint8_t side : codec::kTransformSides) {
    for (const float scale : {2.0F, 40.0F, 1e9F}) {
      CAPTURE(side);
      CAPTURE(scale);
      CodedQuality quality = turned_quality(kSampleTensor, side);
      CodedTensorTable& table = quality.tensors[0];
      if (scale > 2) {
        table.transform->directions.assign(25, 32767);
        table.transform->means.assign(5, -32768);
      }
      codec::CodedTransform way(table, kSampleTensor);
      const Values values = random_tensor(3, scale);
      const std::size_t row = std::size_t{side} * kSampleTensor.width * kSampleTensor.channels;
      std::vector<std::int32_t> found(row);
      std::vector<std::int16_t> places(row);
      const Bytes bytes = bytes_of(values);
      way.coefficients(std::span(bytes).first(4 * row), found);
      way.place(std::span(bytes).first(4 * row), places);
      for (std::size_t i = 0; i < row; ++i) {
        const auto& steps = table.transform->steps;
        const double exact = 2048.0 * std::abs(found[i]) / steps[i % steps.size()];
        const double off = std::min(exact, 32512.0) - std::abs(places[i]);
        REQUIRE((off > -0.01 && off < 1.01));
        REQUIRE((places[i] == 0 || (places[i] < 0) == (found[i] < 0)));
      }
      for (std::size_t b = 0; b < kSampleTensor.width / side; ++b) {
        Values block;
        for (std::size_t y = 0; y < side; ++y) {
          const std::size_t from = (y * kSampleTensor.width + b * side) * kSampleTensor.channels;
          for (std::size_t i = 0; i < side * kSampleTensor.channels; ++i) {
            block.push_back(values[from + i]);
          }
        }
        const std::vector<std::int64_t> expected = reference_coefficients(table, block);
        for (std::size_t i = 0; i < block.size(); ++i) {
          REQUIRE(found[b * block.size() + i] == expected[i]);
        }
      }
    }
  }
}

TEST_CASE("the largest table that is read restores every level within its integers") {
  for (const std::uint8_t side : codec::kTransformSides) {
    CodedQuality quality = turned_quality(kSampleTensor, side);
    codec::CodedTransformTable& transform = *quality.tensors[0].transform;
    transform.directions.assign(25, -32768);
    transform.means.assign(5, 32767);
    std::ranges::fill(transform.steps, std::uint16_t{65535});
    const auto table = codec::write_coded_table({&quality, 1});
    require_ok(codec::read_coded_table(table, {kSampleTensor}).status());
    const auto codec = codec_for(quality);
    for (const int level : {-128, -127, 0, 127}) {
      Bytes stream(kSampleTensor.elements() + 1, static_cast<std::byte>(level));
      stream[0] = std::byte{0};
      Crossing arrived{{Bytes(kSampleTensor.bytes())}};
      require_ok(decode(*codec, stream, arrived));
      for (const float value : floats_of(arrived.tensors[0])) {
        REQUIRE(std::abs(value) <= 32767.0F / 128);
      }
    }
  }
}

TEST_CASE("what is no number counts as 0, and what is too large as the largest") {
  const auto codec = codec_for(turned_quality(kSampleTensor, 2));
  Values zeros(kSampleTensor.elements());
  Values odd = zeros;
  odd[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(carried_values(*codec, odd) == carried_values(*codec, zeros));
  odd[0] = kInfinity;
  Values large = zeros;
  large[0] = 1e30F;
  CHECK(carried_values(*codec, odd) == carried_values(*codec, large));
}

TEST_CASE("neighbours that are alike take fewer bytes turned than as they are") {
  Values smooth(kSampleTensor.elements());
  for (std::size_t i = 0; i < smooth.size(); ++i) {
    const std::size_t p = i / kSampleTensor.channels;
    smooth[i] = std::sin(0.3F * static_cast<float>(p % 12)) * static_cast<float>(p / 12) / 4;
  }
  const Crossing crossing{{bytes_of(smooth)}};
  CodedQuality plain = turned_quality(kSampleTensor, 1);
  plain.tensors[0].transform.reset();
  plain.tensors[0].step = 0x3E80;  // 1/4, as 240 to 246 eighths of 1/128 are
  const auto as_it_is = encoded(*codec_for(plain), crossing).size();
  CHECK(encoded(*codec_for(turned_quality(kSampleTensor, 2)), crossing).size() < as_it_is);
  CHECK(encoded(*codec_for(turned_quality(kSampleTensor, 4)), crossing).size() < as_it_is);
}

TEST_CASE("streams of tensors that are turned are written and read as they were") {
  for (const std::uint8_t side : codec::kTransformSides) {
    CAPTURE(side);
    const std::string path =
        "tests/golden/codec_v2/turned_" + std::to_string(static_cast<int>(side));
    const auto codec = codec_for(turned_quality(kSampleTensor, side));
    const Crossing sent{{bytes_of(random_tensor(42))}};
    const Bytes stream = encoded(*codec, sent);
    REQUIRE(stream.front() == std::byte{1});
    const Bytes arrived = carried(*codec, sent).tensors[0];
    check_golden(path, stream, arrived);
  }
}

TEST_CASE("spoilt streams of tensors that are turned end, in bounds") {
  for (const std::uint8_t side : codec::kTransformSides) {
    const auto codec = codec_for(turned_quality(kSampleTensor, side));
    const Bytes stream = encoded(*codec, Crossing{{bytes_of(random_tensor(1))}});
    REQUIRE(stream.front() == std::byte{1});
    Crossing arrived{{Bytes(kSampleTensor.bytes())}};
    CHECK(unnoticed_flips(*codec, stream, arrived) == 0);
  }
}

}  // namespace cleave::test
