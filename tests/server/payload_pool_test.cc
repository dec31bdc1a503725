// SPDX-License-Identifier: Apache-2.0
//
// The pool of request payloads alone: the budget holds whatever comes and goes.
#include <doctest/doctest.h>

#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "server/payload_pool.h"

namespace cleave::test {
namespace {

using Sizes = std::vector<std::size_t>;

}  // namespace

TEST_CASE("a request takes all of its buffers or none") {
  const auto pool = server::PayloadPool::create(1000);
  auto first = pool->take(Sizes{300, 300});
  REQUIRE(first.has_value());
  REQUIRE(first->buffers().size() == 2);
  CHECK(pool->held_bytes() == 600);
  CHECK_FALSE(pool->take(Sizes{200, 300}).has_value());
  CHECK(pool->held_bytes() == 600);
  CHECK(pool->take(Sizes{200, 200}).has_value());
  CHECK(pool->peak_held_bytes() == 1000);
}

TEST_CASE("a payload that ends, by whatever way, makes room again") {
  const auto pool = server::PayloadPool::create(1000);
  std::optional<server::Payload> payload = pool->take(Sizes{1000});
  REQUIRE(payload.has_value());
  SUBCASE("destroyed") { payload.reset(); }
  SUBCASE("assigned over") { *payload = {}; }
  SUBCASE("moved, then destroyed") {
    { const server::Payload moved = std::move(*payload); }
    CHECK(payload->buffers().empty());
  }
  CHECK(pool->held_bytes() == 0);
  CHECK(pool->take(Sizes{1000}).has_value());
}

TEST_CASE("an idle buffer is used again, but never by a request of less than half its size") {
  const auto pool = server::PayloadPool::create(1000);
  const std::byte* memory = nullptr;
  {
    auto payload = pool->take(Sizes{800});
    REQUIRE(payload.has_value());
    memory = payload->buffers()[0].data();
  }
  CHECK(pool->idle_bytes() == 800);
  {
    auto same = pool->take(Sizes{500});
    REQUIRE(same.has_value());
    CHECK(same->buffers()[0].data() == memory);
    CHECK(pool->held_bytes() == 800);  // what is really held
  }
  auto small = pool->take(Sizes{100});
  REQUIRE(small.has_value());
  CHECK(pool->held_bytes() == 100);
  CHECK(pool->idle_bytes() == 800);
  // Idle memory makes way for a request that needs it.
  CHECK(pool->take(Sizes{900}).has_value());
}

TEST_CASE("an idle buffer that would take the room of the other buffers is not used again") {
  const auto pool = server::PayloadPool::create(1000);
  CHECK(pool->take(Sizes{900}).has_value());
  CHECK(pool->idle_bytes() == 900);
  const auto both = pool->take(Sizes{500, 500});
  REQUIRE(both.has_value());
  CHECK(pool->held_bytes() == 1000);
  CHECK(pool->idle_bytes() == 0);
}

TEST_CASE("sizes whose sum is more than a number can hold are refused") {
  const auto pool = server::PayloadPool::create(1000);
  CHECK_FALSE(pool->take(Sizes{500, ~std::size_t{0} - 200}).has_value());
  CHECK(pool->take(Sizes{500, 500}).has_value());
}

TEST_CASE("a size beyond the budget is refused, also the largest there is") {
  const auto pool = server::PayloadPool::create(1000);
  CHECK_FALSE(pool->take(Sizes{1001}).has_value());
  CHECK_FALSE(pool->take(Sizes{~std::size_t{0}}).has_value());
  const auto held = pool->take(Sizes{1});
  CHECK_FALSE(pool->take(Sizes{~std::size_t{0}}).has_value());
}

TEST_CASE("a payload outlives whoever made its pool") {
  auto pool = server::PayloadPool::create(1000);
  auto payload = pool->take(Sizes{1000});
  pool.reset();
  REQUIRE(payload.has_value());
  std::memset(payload->buffers()[0].data(), 1, 1000);
}

TEST_CASE("held and idle memory together stay within the budget") {
  constexpr std::uint64_t kBudget = 100'000;
  const auto pool = server::PayloadPool::create(kBudget);
  std::mt19937 random(7);
  std::deque<server::Payload> payloads;
  unsigned refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 && !payloads.empty()) {
      std::swap(payloads.front(), payloads[random() % payloads.size()]);
      payloads.pop_front();
    } else {
      Sizes sizes(1 + random() % 3);
      for (std::size_t& bytes : sizes) bytes = 1 + random() % (random() % 10 == 0 ? 40'000 : 2'000);
      if (auto payload = pool->take(sizes)) {
        payloads.push_back(std::move(*payload));
      } else {
        ++refused;
      }
    }
    std::uint64_t held = 0;
    for (const server::Payload& payload : payloads) {
      for (const AlignedBuffer& buffer : payload.buffers()) held += buffer.capacity();
    }
    REQUIRE(held == pool->held_bytes());
    REQUIRE(held + pool->idle_bytes() <= kBudget);
  }
  CHECK(refused > 0);
  payloads.clear();
  CHECK(pool->held_bytes() == 0);
}

}  // namespace cleave::test
