// SPDX-License-Identifier: Apache-2.0
//
// Seeded random numbers that are the same bits on every machine: integer arithmetic and exact
// conversions only, no library function whose last bit may differ.
#pragma once

#include <cstdint>

namespace cleave::importer {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, 1), a multiple of 2^-32.
  double uniform() { return static_cast<double>(next() >> 32) / 4294967296.0; }

  // Near-normal with mean 0 and variance 1: the sum of twelve 16-bit uniforms (Irwin-Hall),
  // an integer until it is scaled by a power of two. Tails end at +-6.
  double normal() {
    std::int32_t sum = 0;
    for (int draw = 0; draw < 3; ++draw) {
      const std::uint64_t bits = next();
      for (int lane = 0; lane < 64; lane += 16)
        sum += static_cast<std::int32_t>(bits >> lane & 0xffff);
    }
    constexpr std::int32_t kMean = 12 * 0xffff / 2;
    return static_cast<double>(sum - kMean) / 65536.0;
  }

 private:
  std::uint64_t state_;
};

}  // namespace cleave::importer
