// SPDX-License-Identifier: Apache-2.0
#include "server/address_limiter.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace cleave::test {
namespace {

using server::AddressKey;
using server::AddressLimiter;
using server::AddressPass;
using Limit = AddressLimiter::Limit;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr AddressLimiter::Time kStart{seconds(1'000)};

AddressKey v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return server::address_key({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d});
}

TEST_CASE("an IPv4 address is itself, an IPv6 address its network of 64 bits") {
  CHECK(v4(10, 0, 0, 1) != v4(10, 0, 0, 2));
  CHECK(v4(10, 0, 0, 1)[15] == 1);
  const AddressKey one = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8};
  AddressKey neighbour = one, elsewhere = one;
  neighbour[8] = 9;
  elsewhere[7] = 8;
  CHECK(server::address_key(one) == server::address_key(neighbour));
  CHECK(server::address_key(one) != server::address_key(elsewhere));
}

TEST_CASE("connections a second: four seconds' worth at once, then the rate") {
  AddressLimiter limiter({.connections_per_second = 10, .max_handshakes = 0, .max_connections = 0});
  const auto attempts = [&](const AddressKey& key, AddressLimiter::Time now) {
    int admitted = 0;
    for (int i = 0; i < 1'000; ++i) {
      AddressPass pass;
      if (limiter.admit(key, now, pass) == Limit::kNone) ++admitted;
    }
    return admitted;
  };
  CHECK(attempts(v4(10, 0, 0, 1), kStart) == 40);
  CHECK(attempts(v4(10, 0, 0, 1), kStart + milliseconds(500)) == 5);
  CHECK(attempts(v4(10, 0, 0, 2), kStart + milliseconds(500)) == 40);
}

TEST_CASE("handshakes at a time, and connections altogether") {
  AddressLimiter limiter({.connections_per_second = 0, .max_handshakes = 2, .max_connections = 3});
  const AddressKey key = v4(10, 0, 0, 1);
  std::vector<AddressPass> passes(4);
  CHECK(limiter.admit(key, kStart, passes[0]) == Limit::kNone);
  CHECK(limiter.admit(key, kStart, passes[1]) == Limit::kNone);
  CHECK(limiter.admit(key, kStart, passes[2]) == Limit::kHandshakes);
  passes[0].handshake_over();
  passes[0].handshake_over();  // once is enough
  CHECK(limiter.admit(key, kStart, passes[2]) == Limit::kNone);
  passes[1].handshake_over();
  AddressPass moved = std::move(passes[1]);
  CHECK(limiter.admit(key, kStart, passes[3]) == Limit::kConnections);
  moved = {};
  CHECK(limiter.admit(key, kStart, passes[3]) == Limit::kNone);
  // Two shake hands now: passes[2], passes[3].
  AddressPass more;
  passes[0] = {};
  CHECK(limiter.admit(key, kStart, more) == Limit::kHandshakes);
  passes.clear();
  CHECK(limiter.admit(key, kStart, more) == Limit::kNone);
}

TEST_CASE("memory for addresses is bounded, whoever comes") {
  AddressLimiter limiter({});
  AddressPass stays;
  REQUIRE(limiter.admit(v4(9, 9, 9, 9), kStart, stays) == Limit::kNone);
  for (std::uint32_t i = 0; i < 300'000; ++i) {
    AddressPass pass;
    const auto key =
        v4(static_cast<std::uint8_t>(10 + (i >> 24)), static_cast<std::uint8_t>(i >> 16),
           static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i));
    REQUIRE(limiter.admit(key, kStart, pass) == Limit::kNone);
    REQUIRE(limiter.size() <= AddressLimiter::kMostAddresses + 1'024);
  }
  CHECK(limiter.size() > 1);
}

}  // namespace
}  // namespace cleave::test
