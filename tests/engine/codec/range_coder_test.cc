// SPDX-License-Identifier: Apache-2.0
#include "engine/codec/range_coder.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

namespace cleave::codec {
namespace {

// Of a seeded generator.
class Seeded {
 public:
  explicit Seeded(std::uint64_t seed) : state_(seed) {}
  std::uint32_t next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>(state_ >> 33);
  }

 private:
  std::uint64_t state_;
};

struct Bits {
  std::vector<bool> bits;
  std::vector<std::uint32_t> model;  // of each; 3: even
};

// Three models with ones in 1 of 2, of 50 and of 5000, and bits that nothing is known of.
Bits seeded_bits(std::size_t count, std::uint64_t seed) {
  constexpr std::array<std::uint32_t, 4> kOneIn = {2, 50, 5000, 2};
  Seeded seeded(seed);
  Bits bits;
  for (std::size_t i = 0; i < count; ++i) {
    bits.model.push_back(seeded.next() % 4);
    bits.bits.push_back(seeded.next() % kOneIn[bits.model.back()] == 0);
  }
  return bits;
}

std::size_t encode(const Bits& bits, std::span<std::byte> out) {
  RangeEncoder encoder(out);
  std::array<BitModel, 3> models;
  for (std::size_t i = 0; i < bits.bits.size(); ++i) {
    if (bits.model[i] == 3) {
      encoder.encode_even(bits.bits[i]);
    } else {
      encoder.encode(models[bits.model[i]], bits.bits[i]);
    }
  }
  return encoder.finish();
}

std::vector<bool> decode(const Bits& like, std::span<const std::byte> bytes, bool& at_end) {
  RangeDecoder decoder(bytes);
  std::array<BitModel, 3> models;
  std::vector<bool> bits;
  for (const std::uint32_t model : like.model) {
    bits.push_back(model == 3 ? decoder.decode_even() : decoder.decode(models[model]));
  }
  at_end = decoder.at_end();
  return bits;
}

TEST_CASE("bits of every likelihood come back, and the end is where it was") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Bits bits = seeded_bits(seed * 7, seed);
    std::vector<std::byte> out(bits.bits.size() + 16);
    const std::size_t length = encode(bits, out);
    REQUIRE(length > 0);
    bool at_end = false;
    REQUIRE(decode(bits, std::span(out).first(length), at_end) == bits.bits);
    REQUIRE(at_end);
    decode(bits, std::span(out).first(length + 1), at_end);
    REQUIRE_FALSE(at_end);
  }
}

TEST_CASE("a stream is hardly longer than the bits' information") {
  const Bits bits = seeded_bits(100'000, 1);
  std::vector<std::byte> out(100'000);
  // Of a quarter each: 1 bit, 0.1414, 0.0027, 1 bit.
  const double information = 25'000 * (1 + 0.1414 + 0.0027 + 1) / 8;
  CHECK(static_cast<double>(encode(bits, out)) < information * 1.02);
}

TEST_CASE("a carry runs back through bytes of ones") {
  // Ones keep low at 0; zeros move it up to where one more makes it run over.
  Bits bits;
  Seeded seeded(9);
  for (int i = 0; i < 20'000; ++i) {
    bits.model.push_back(2);
    bits.bits.push_back(seeded.next() % 3 != 0 && i % 97 != 0);
  }
  std::vector<std::byte> out(20'000);
  const std::size_t length = encode(bits, out);
  REQUIRE(length > 0);
  bool at_end = false;
  CHECK(decode(bits, std::span(out).first(length), at_end) == bits.bits);
  CHECK(at_end);
}

TEST_CASE("an encoder without room stops at the end of it") {
  const Bits bits = seeded_bits(1000, 3);
  std::vector<std::byte> out(1000);
  const std::size_t length = encode(bits, out);
  for (std::size_t room = 0; room < length; ++room) {
    std::vector<std::byte> exact(room);  // sanitizers look behind it
    REQUIRE(encode(bits, exact) == 0);
  }
  std::vector<std::byte> exact(length);
  CHECK(encode(bits, exact) == length);
}

TEST_CASE("a model never takes anything for certain") {
  for (const bool bit : {false, true}) {
    BitModel model;
    for (int i = 0; i < 10'000; ++i) model.follow(bit);
    CHECK(model.probability() > 0);
    CHECK(model.probability() < 0x10000);
    CHECK((model.probability() > 0xFF00) == bit);
  }
}

}  // namespace
}  // namespace cleave::codec
