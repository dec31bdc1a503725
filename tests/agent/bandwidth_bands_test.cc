// SPDX-License-Identifier: Apache-2.0
#include "agent/bandwidth_bands.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace cleave::agent {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

// In double, in which the sizes of these tests are exact enough.
double total_ns(const Way& way, double bps) {
  return static_cast<double>(way.cost.fixed_ns) + static_cast<double>(way.cost.bytes) * 8e9 / bps;
}

std::size_t band_of(std::span<const BandwidthBand> bands, double bps) {
  std::size_t way = bands.front().way;
  for (const BandwidthBand& band : bands) {
    if (static_cast<double>(band.from_bps) <= bps) way = band.way;
  }
  return way;
}

}  // namespace

TEST_CASE("device, a split and the picture: each has its band, and what never wins has none") {
  // 1000 bytes in 60 ms: 133.3 kbit/s; 9000 bytes in 30 ms: 2.4 Mbit/s.
  const std::vector<Way> ways{{.description = "device only", .cost = {100 * kMs, 0}},
                              {.description = "split 3", .cost = {40 * kMs, 1'000}},
                              {.description = "split 1", .cost = {90 * kMs, 2'000}},
                              {.description = "the file", .cost = {10 * kMs, 10'000}}};
  const auto bands = bandwidth_bands(ways);
  REQUIRE(bands.size() == 3);
  CHECK(bands[0].way == 0);
  CHECK(bands[0].from_bps == 0);
  CHECK(bands[1].way == 1);
  CHECK(bands[1].from_bps == 133'333);
  CHECK(bands[2].way == 3);
  CHECK(bands[2].from_bps == 2'400'000);
  CHECK(bands_text(ways, bands) ==
        "device only below 0.133 Mbit/s; split 3 below 2.400 Mbit/s; the file above");
}

TEST_CASE("one way, none, and two that are equal") {
  CHECK(bandwidth_bands({}).empty());
  const std::vector<Way> ways{{.description = "a", .cost = {10, 5}},
                              {.description = "b", .cost = {10, 5}}};
  const auto bands = bandwidth_bands(ways);
  REQUIRE(bands.size() == 1);
  CHECK(bands[0].way == 0);
  CHECK(bands_text(ways, bands) == "a at every rate");
}

TEST_CASE("at every rate the band's way is as fast as any, for random ways") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Way> ways(1 + random() % 12);
    for (Way& way : ways) {
      way.cost = {.fixed_ns = random() % 8 * 50 * kMs + random() % 3 * kMs,
                  .bytes = random() % 6 * 10'000 + random() % 3};
    }
    const auto bands = bandwidth_bands(ways);
    REQUIRE(bands.front().from_bps == 0);
    for (std::size_t i = 1; i < bands.size(); ++i) {
      REQUIRE(bands[i].from_bps >= bands[i - 1].from_bps);
    }
    for (double bps = 1e3; bps < 1e10; bps *= 1.37) {
      double least = total_ns(ways[0], bps);
      for (const Way& way : ways) least = std::min(least, total_ns(way, bps));
      // A band begins at a whole bit/s.
      REQUIRE(total_ns(ways[band_of(bands, bps)], bps) <= least * (1 + 2 / bps));
    }
  }
}

}  // namespace cleave::agent
