// SPDX-License-Identifier: Apache-2.0
//
// Clients that send or read slowly, or do not read at all: each meets a deadline.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/codec/boundary_codec.h"
#include "schemas/protocol.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {

TEST_CASE("a handshake fed byte by byte ends at its deadline all the same") {
  Fixture fixture(
      [](server::ServerOptions& options) { options.handshake_timeout = milliseconds(300); });
  RawClient slow(fixture.server.port());
  const FrameBytes hello = make_hello({.device = "slow", .model_identity = fixture.identity()});
  const auto start = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  while (sent < hello.size() && slow.send(std::span(hello).subspan(sent, 1)) &&
         !slow.closed_within(50)) {
    ++sent;
  }
  CHECK(sent < hello.size());
  CHECK(std::chrono::steady_clock::now() - start < milliseconds(3'000));
}

TEST_CASE("a client that sends and never reads is not read any further") {
  Fixture fixture;
  RawClient deaf(fixture.server.port(), 64 * 1024);
  fixture.greet(deaf);
  const FrameBytes ping = make_ping(1);
  deaf.set_non_blocking();
  // How much the kernel buffers before it pushes back is its own matter (tens of MB on some
  // machines). A server that went on reading would take pings for as long as they come.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  auto last_taken = std::chrono::steady_clock::now();
  bool pushed_back = false;
  while (!pushed_back && std::chrono::steady_clock::now() < end) {
    if (deaf.send_some(ping)) {
      last_taken = std::chrono::steady_clock::now();
    } else {
      std::this_thread::sleep_for(milliseconds(1));
      pushed_back = std::chrono::steady_clock::now() - last_taken > milliseconds(700);
    }
  }
  CHECK(pushed_back);
  RawClient other(fixture.server.port());
  fixture.greet(other);
}

namespace {

// With 1 MiB of weights to fetch.
ModelBuilder wide_model() {
  ModelBuilder builder({8, 8, 3});
  const Tensor wide = builder.conv2d(builder.input(), 64, WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(wide, 64);
  return builder;
}

// Asks for the first `pieces` pieces of the largest segment, without waiting for any.
void fetch_pieces(const Fixture& fixture, const RawClient& client, std::uint32_t pieces,
                  std::uint32_t piece_bytes) {
  const auto& segments = *fixture.server.model().file->header().segments();
  const auto largest = std::max_element(segments.begin(), segments.end(),
                                        [](const fbs::Segment* one, const fbs::Segment* other) {
                                          return one->bytes() < other->bytes();
                                        });
  const std::span<const std::uint8_t, 32> sha256(largest->sha256()->data(), 32);
  for (std::uint32_t i = 0; i < pieces; ++i) {
    REQUIRE(client.send(make_fetch({.fetch_id = i + 1,
                                    .sha256 = sha256,
                                    .offset = std::uint64_t{i} * piece_bytes,
                                    .bytes = piece_bytes})));
  }
}

}  // namespace

TEST_CASE("a client that never reads is dropped when it has taken nothing for the stall timeout") {
  Fixture fixture(
      [](server::ServerOptions& options) { options.stall_timeout = milliseconds(1'500); },
      wide_model());
  RawClient deaf(fixture.server.port(), 64 * 1024), other(fixture.server.port());
  fixture.greet(deaf, kFeatureFetch);
  fixture.greet(other);
  const auto start = std::chrono::steady_clock::now();
  fetch_pieces(fixture, deaf, 4, 256 << 10);
  while (fixture.stats().stalled_writes == 0 &&
         std::chrono::steady_clock::now() - start < std::chrono::seconds(15)) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.stalled_writes == 1);
  CHECK(stats.stalled_reads == 0);
  CHECK(stats.idle_closed == 0);
  CHECK(stats.pieces == 4);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(1'500));
  await_pong(other);
}

// A peer whose receive buffer is full drops whatever comes, the news that the server has room again
// among it, and then its system asks for that with pauses that grow. So the server may first miss
// the rest of a frame that this peer began, or first wait for it to take a byte.
TEST_CASE("a client that floods and never reads is dropped, whichever way stalls first") {
  Fixture fixture(
      [](server::ServerOptions& options) { options.stall_timeout = milliseconds(1'500); });
  RawClient deaf(fixture.server.port(), 64 * 1024), other(fixture.server.port());
  fixture.greet(deaf);
  fixture.greet(other);
  std::vector<std::byte> pings;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    const FrameBytes ping = make_ping(i);
    pings.insert(pings.end(), ping.begin(), ping.end());
  }
  deaf.set_non_blocking();
  // The kernel holds megabytes of Pongs before it pushes back; from there the time counts.
  const auto start = std::chrono::steady_clock::now();
  auto last_taken = start;
  std::size_t at = 0;
  server::ServerStats stats = fixture.stats();
  while (stats.stalled_writes + stats.stalled_reads == 0 &&
         std::chrono::steady_clock::now() - start < std::chrono::seconds(60) &&
         std::chrono::steady_clock::now() - last_taken < std::chrono::seconds(15)) {
    const std::size_t count = deaf.send_what_fits(std::span(pings).subspan(at));
    if (count > 0) last_taken = std::chrono::steady_clock::now();
    if (count == 0) std::this_thread::sleep_for(milliseconds(5));
    at = (at + count) % pings.size();
    stats = fixture.stats();
  }
  CHECK(stats.stalled_writes + stats.stalled_reads == 1);
  CHECK(stats.idle_closed == 0);
  await_pong(other);
}

TEST_CASE("a client that reads a little now and then has the slowest link's time for each frame") {
  // A piece of 256 KiB may take the stall timeout and a quarter of a second.
  milliseconds stall_timeout{1'000}, pause{100};
  SUBCASE("too slow: it takes something every third of a second, and 1.6 s for a piece") {}
  SUBCASE("fast enough") {
    stall_timeout = milliseconds(5'000);
    pause = milliseconds(10);
  }
  const bool too_slow = pause == milliseconds(100);
  Fixture fixture(
      [&](server::ServerOptions& options) {
        options.stall_timeout = stall_timeout;
        options.slowest_bytes_per_second = 1 << 20;
      },
      wide_model());
  RawClient client(fixture.server.port(), 64 * 1024);
  fixture.greet(client, kFeatureFetch);
  constexpr std::uint32_t kPieces = 3, kPieceBytes = 256 << 10;
  fetch_pieces(fixture, client, kPieces, kPieceBytes);
  std::vector<std::byte> some(16 << 10);
  std::size_t read = 0;
  while (read < kPieces * kPieceBytes && client.receive_exactly(some)) {
    read += some.size();
    std::this_thread::sleep_for(pause);
  }
  CHECK((read < kPieces * kPieceBytes) == too_slow);
  fixture.await_stats(
      [&](const auto& stats) { return stats.stalled_writes == (too_slow ? 1U : 0U); });
}

TEST_CASE("what comes a byte at a time after the handshake ends at its deadline all the same") {
  Fixture fixture([](server::ServerOptions& options) {
    options.stall_timeout = milliseconds(400);
    options.device.requests_per_second = 1;
  });
  const std::vector<float> tensors = fixture.boundary(1, 1);
  RawClient slow(fixture.server.port());
  fixture.greet(slow);
  std::vector<std::byte> bytes;
  SUBCASE("a message") {
    const FrameBytes ping = make_ping(1);
    bytes.assign(ping.begin(), ping.end());
  }
  SUBCASE("an attachment") {
    // A picture's: it may have any size.
    REQUIRE(slow.send(make_request({.request_id = 1, .codec = fbs::Codec::Jpeg}, 900)));
    bytes.resize(900);
  }
  SUBCASE("an attachment that is read away") {
    // The device's second request in a second, which is one too many.
    REQUIRE(fixture.request(slow, 1, 1, tensors));
    (void)receive_answer(slow);
    REQUIRE(slow.send(make_request({.request_id = 2, .codec = fbs::Codec::Jpeg}, 900)));
    bytes.resize(900);
  }
  const auto start = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  while (sent < bytes.size() && slow.send(std::span(bytes).subspan(sent, 1)) &&
         !slow.closed_within(100)) {
    ++sent;
  }
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(sent < bytes.size());
  CHECK(took >= milliseconds(200));
  CHECK(took < std::chrono::seconds(5));
  fixture.await_stats([](const auto& stats) { return stats.stalled_reads == 1; });
  RawClient other(fixture.server.port());
  fixture.greet(other, 0, "other");
  REQUIRE(fixture.request(other, 1, 1, tensors));
  CHECK(scores_of(*receive_answer(other)) == fixture.expected(1, tensors));
}

TEST_CASE("a large attachment that trickles is closed after about the stall timeout, not hours") {
  constexpr std::size_t kAnnounced = 4
                                     << 20;  // over an hour of the slowest link, and all the budget
  Fixture fixture([](server::ServerOptions& options) {
    options.stall_timeout = milliseconds(2'000);
    options.payload_budget_bytes = options.picture.max_file_bytes = kAnnounced;
  });
  const std::vector<float> tensors = fixture.boundary(1, 1);
  RawClient slow(fixture.server.port()), other(fixture.server.port());
  fixture.greet(slow);
  fixture.greet(other, 0, "other");
  REQUIRE(slow.send(make_request({.request_id = 1, .codec = fbs::Codec::Jpeg}, kAnnounced)));
  SUBCASE("from its begin") {}
  SUBCASE("after half of it came at once") {
    REQUIRE(slow.send(std::vector<std::byte>(kAnnounced / 2)));
    fixture.await_stats([](const auto& now) { return now.bytes_in >= kAnnounced / 2; });
  }
  REQUIRE(fixture.request(other, 1, 1, tensors));
  CHECK(receive_error(other)->code() == fbs::ErrorCode::Busy);
  const auto start = std::chrono::steady_clock::now();
  const std::array<std::byte, 1> one_byte{};
  while (slow.send(one_byte) && !slow.closed_within(100)) {
    REQUIRE(std::chrono::steady_clock::now() - start < std::chrono::seconds(12));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(8));
  fixture.await_stats([](const auto& now) { return now.stalled_reads == 1; });
  REQUIRE(fixture.request(other, 2, 1, tensors));
  CHECK(scores_of(*receive_answer(other)) == fixture.expected(1, tensors));
}

TEST_CASE("an attachment that keeps up with the slowest link may take many stall timeouts") {
  Fixture fixture(
      [](server::ServerOptions& options) { options.stall_timeout = milliseconds(1'500); });
  RawClient slow(fixture.server.port());
  fixture.greet(slow);
  constexpr int kParts = 45;
  const std::array<std::byte, 400> part{};  // every 100 ms: four times the slowest link
  REQUIRE(
      slow.send(make_request({.request_id = 1, .codec = fbs::Codec::Jpeg}, kParts * part.size())));
  for (int i = 0; i < kParts; ++i) {
    REQUIRE(slow.send(part));
    std::this_thread::sleep_for(milliseconds(100));
  }
  CHECK(receive_error(slow)->code() == fbs::ErrorCode::BadPicture);
  CHECK(fixture.stats().stalled_reads == 0);
}

}  // namespace cleave::test
