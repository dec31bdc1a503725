// SPDX-License-Identifier: Apache-2.0
//
// Clients that are silent, stop half-way or are too many: each is bounded, and harms nobody else.
#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "schemas/protocol.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

void put_behind(std::vector<std::byte>& all, std::span<const std::byte> more) {
  all.insert(all.end(), more.begin(), more.end());
}

// The ids of what was answered, fetched and turned down.
struct Said {
  std::set<std::uint64_t> answers, pieces, busy;
};

// The next `count` messages, in whichever order they come. Pieces have one byte.
Said listen(RawClient& client, int count) {
  Said said;
  for (int i = 0; i < count; ++i) {
    const fbs::Envelope* reply = client.receive();
    REQUIRE(reply != nullptr);
    if (const fbs::Answer* answer = reply->message_as_Answer()) {
      said.answers.insert(answer->request_id());
    } else if (const fbs::Piece* piece = reply->message_as_Piece()) {
      said.pieces.insert(piece->fetch_id());
      std::array<std::byte, 1> content{};
      REQUIRE(client.receive_exactly(content));
    } else {
      const fbs::Error* error = reply->message_as_Error();
      REQUIRE(error != nullptr);
      CHECK(error->code() == fbs::ErrorCode::Busy);
      CHECK(error->retry_after_ms() > 0);
      CHECK(error->retry_after_ms() <= 1'000);
      said.busy.insert(error->request_id());
    }
  }
  return said;
}

}  // namespace

TEST_CASE("silent and stalled clients are closed in time") {
  // One short timeout at a time: a client that is late with the rest meets no other.
  SUBCASE("before the handshake") {
    Fixture fixture(
        [](server::ServerOptions& options) { options.handshake_timeout = milliseconds(150); });
    RawClient silent(fixture.server.port());
    CHECK(silent.closed_within(3'000));
    fixture.await_stats([](const auto& stats) { return stats.handshake_timeouts == 1; });
  }
  SUBCASE("between frames") {
    Fixture fixture(
        [](server::ServerOptions& options) { options.idle_timeout = milliseconds(300); });
    RawClient idle(fixture.server.port());
    fixture.greet(idle);
    CHECK(idle.closed_within(3'000));
    fixture.await_stats([](const auto& stats) { return stats.idle_closed == 1; });
  }
  SUBCASE("within a frame") {
    Fixture fixture(
        [](server::ServerOptions& options) { options.stall_timeout = milliseconds(150); });
    RawClient stalled(fixture.server.port());
    fixture.greet(stalled);
    REQUIRE(
        stalled.send(make_request({.request_id = 1, .cut = 2}, fixture.cuts()[2].boundary_bytes)));
    CHECK(stalled.closed_within(3'000));
    fixture.await_stats([](const auto& stats) { return stats.stalled_reads == 1; });
  }
}

TEST_CASE("a request whose connection ends in its attachment is counted as unanswered") {
  Fixture fixture([](server::ServerOptions& options) { options.max_inflight = 1; });
  const std::vector<float> tensors = fixture.boundary(2, 1);
  const auto half = std::as_bytes(std::span(tensors)).first(tensors.size() * 2);
  const auto begin_request = [&](RawClient& client, std::uint64_t id) {
    REQUIRE(client.send(make_request({.request_id = id, .cut = 2}, 2 * half.size())));
    REQUIRE(client.send(half));
  };
  SUBCASE("of one that is taken") {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    begin_request(client, 1);
  }
  SUBCASE("of one that is turned down") {
    HeldWorker worker(fixture.server.tail_pool());
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(fixture.request(client, 1, 2, tensors));
    begin_request(client, 2);
    client.end_sending();
    fixture.await_stats([](const auto& now) { return now.unanswered >= 1; });
    worker.release();
  }
  SUBCASE("of one that is resent") {
    RawClient client(fixture.server.port());
    fixture.greet(client, kFeatureResend);
    REQUIRE(fixture.request(client, 1, 2, tensors));
    (void)receive_answer(client);
    begin_request(client, 1);
  }
  fixture.await_stats([](const auto& now) { return now.unanswered >= 1; });
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.unanswered == stats.requests - stats.answers);
  CHECK(ends_of_requests(stats) == stats.requests);
  CHECK(stats.busy == 0);
}

TEST_CASE(
    "an agent that promised heartbeats and is silent is gone, also when it waits for an answer") {
  Fixture fixture([](server::ServerOptions& options) {
    options.heartbeat = milliseconds(1'000);
    options.idle_timeout = std::chrono::hours(1);
  });
  HeldWorker worker(fixture.server.tail_pool());
  RawClient half_open(fixture.server.port()), alive(fixture.server.port()),
      plain(fixture.server.port());
  CHECK(fixture.greet(half_open, kFeatureHeartbeat)->heartbeat_ms() == 1'000);
  CHECK(fixture.greet(alive, kFeatureHeartbeat)->features() == kFeatureHeartbeat);
  CHECK(fixture.greet(plain)->heartbeat_ms() == 0);
  const auto start = std::chrono::steady_clock::now();
  for (RawClient* client : {&half_open, &alive, &plain}) {
    REQUIRE(fixture.request(*client, 1, 1, fixture.boundary(1, 1)));
  }
  bool closed = false;
  while (!closed && std::chrono::steady_clock::now() - start < std::chrono::seconds(20)) {
    await_pong(alive);
    closed = half_open.closed_within(50);
  }
  CHECK(closed);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(3'000));
  fixture.await_stats([](const auto& now) { return now.half_open == 1 && now.withdrawn == 1; });
  worker.release();
  CHECK(receive_answer(alive)->request_id() == 1);
  CHECK(receive_answer(plain)->request_id() == 1);
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.half_open == 1);
  CHECK(stats.unanswered == 1);
  CHECK(stats.answers == 2);
}

TEST_CASE(
    "what one device may ask for is bounded over all its connections; others are not affected") {
  Fixture fixture;
  std::unique_ptr<Fixture> limited;
  const std::vector<float> tensors = fixture.boundary(1, 1);
  const auto make = [&](server::DeviceLimits limits) {
    limited =
        std::make_unique<Fixture>([&](server::ServerOptions& options) { options.device = limits; });
  };
  const auto ask = [&](RawClient& client, std::uint64_t id) {
    REQUIRE(limited->request(client, id, 1, tensors));
  };
  SUBCASE("requests a second") {
    make({.requests_per_second = 1});
    RawClient one(limited->server.port()), two(limited->server.port()),
        other(limited->server.port());
    limited->greet(one);
    limited->greet(two);
    limited->greet(other, 0, "other");
    HeldWorker worker(limited->server.tail_pool());
    ask(one, 1);
    await_pong(one);
    ask(two, 2);
    const fbs::Error* busy = receive_error(two);
    CHECK(busy->code() == fbs::ErrorCode::Busy);
    CHECK(busy->request_id() == 2);
    CHECK(busy->retry_after_ms() > 0);
    CHECK(busy->retry_after_ms() <= 1'000);
    const milliseconds pause(busy->retry_after_ms());
    worker.release();
    CHECK(receive_answer(one)->request_id() == 1);
    ask(other, 1);
    (void)receive_answer(other);
    std::this_thread::sleep_for(pause);
    ask(one, 2);
    (void)receive_answer(one);
    CHECK(limited->stats().busy_device_rate == 1);
  }
  SUBCASE("bytes a second") {
    make({.bytes_per_second = 3 * tensors.size() * sizeof(float)});
    RawClient client(limited->server.port());
    limited->greet(client);
    // At once: the bucket fills again while they are answered.
    std::vector<std::byte> all;
    for (std::uint64_t id = 1; id <= 4; ++id) {
      put_behind(all, make_request({.request_id = id, .cut = 1}, std::span(tensors).size_bytes()));
      put_behind(all, std::as_bytes(std::span(tensors)));
    }
    REQUIRE(client.send(all));
    const Said said = listen(client, 4);
    CHECK(said.busy == std::set<std::uint64_t>{4});
    CHECK(said.answers == std::set<std::uint64_t>{1, 2, 3});
    CHECK(limited->stats().busy_device_bytes == 1);
  }
  SUBCASE("requests under way") {
    make({.max_inflight = 2});
    HeldWorker worker(limited->server.tail_pool());
    RawClient one(limited->server.port()), two(limited->server.port()),
        other(limited->server.port());
    limited->greet(one, kFeatureResend);
    limited->greet(two, kFeatureResend);
    limited->greet(other, 0, "other");
    ask(one, 1);
    ask(one, 2);
    await_pong(one);
    ask(two, 3);
    const fbs::Error* busy = receive_error(two);
    CHECK(busy->code() == fbs::ErrorCode::Busy);
    CHECK(busy->retry_after_ms() >= 500);
    ask(two, 1);  // resent: it is under way already, and not counted twice
    ask(other, 1);
    await_pong(two);
    worker.release();
    CHECK(receive_answer(one)->request_id() == 1);
    CHECK(receive_answer(one)->request_id() == 2);
    CHECK(receive_answer(two)->repeated());
    (void)receive_answer(other);
    ask(two, 4);
    CHECK(receive_answer(two)->request_id() == 4);
    CHECK(limited->stats().busy_device_inflight == 1);
  }
}

TEST_CASE("pieces of a model count against the device's bytes and rate, beside its requests") {
  Fixture fixture([](server::ServerOptions& options) {
    options.device = {.requests_per_second = 3, .bytes_per_second = 400};
  });
  const std::span<const std::uint8_t, 32> sha256(fixture.identity());
  const auto fetch = [&](std::uint64_t id, std::uint32_t bytes) {
    return make_fetch({.fetch_id = id, .sha256 = sha256, .bytes = bytes});
  };
  const auto take_piece = [](RawClient& client, std::uint64_t id, std::uint32_t bytes) {
    const fbs::Envelope* reply = client.receive();
    REQUIRE(reply != nullptr);
    REQUIRE(reply->message_type() == fbs::Message::Piece);
    CHECK(reply->message_as_Piece()->fetch_id() == id);
    std::vector<std::byte> content(bytes);
    REQUIRE(client.receive_exactly(content));
  };
  const auto take_busy = [](RawClient& client, std::uint64_t id) {
    const fbs::Error* busy = receive_error(client);
    CHECK(busy->code() == fbs::ErrorCode::Busy);
    CHECK(busy->request_id() == id);
    CHECK(busy->retry_after_ms() > 0);
    CHECK(busy->retry_after_ms() <= 1'000);
    return milliseconds(busy->retry_after_ms());
  };
  RawClient client(fixture.server.port()), other(fixture.server.port());
  fixture.greet(client, kFeatureFetch);
  fixture.greet(other, kFeatureFetch, "other");
  SUBCASE("bytes") {
    // All at once: what was granted comes first.
    std::vector<std::byte> both;
    put_behind(both, fetch(1, 300));
    put_behind(both, fetch(2, 300));
    REQUIRE(client.send(both));
    take_piece(client, 1, 300);
    const milliseconds pause = take_busy(client, 2);
    REQUIRE(other.send(fetch(1, 300)));
    take_piece(other, 1, 300);
    std::this_thread::sleep_for(pause);
    REQUIRE(client.send(fetch(3, 300)));
    take_piece(client, 3, 300);
  }
  SUBCASE("rate") {
    const std::vector<float> tensors = fixture.boundary(1, 1);
    std::vector<std::byte> all;
    for (std::uint64_t id = 1; id <= 4; ++id) put_behind(all, fetch(id, 1));
    put_behind(all, make_request({.request_id = 5, .cut = 1}, std::span(tensors).size_bytes()));
    put_behind(all, std::as_bytes(std::span(tensors)));
    REQUIRE(client.send(all));
    const Said said = listen(client, 5);
    CHECK(said.pieces == std::set<std::uint64_t>{1, 2, 3});
    CHECK(said.busy == std::set<std::uint64_t>{4, 5});
  }
  CHECK(fixture.stats().fetch_errors == 1);
}

TEST_CASE("a request whose time is used up is not computed") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const std::vector<float> tensors = fixture.boundary(1, 1);
  REQUIRE(client.send(
      make_request({.request_id = 9, .cut = 1, .remaining_ns = 1}, tensors.size() * 4)));
  REQUIRE(client.send(std::as_bytes(std::span(tensors))));
  const fbs::Error* error = receive_error(client);
  CHECK(error->code() == fbs::ErrorCode::DeadlineExceeded);
  CHECK(error->request_id() == 9);
}

TEST_CASE("requests of all agents share one budget of bytes; over it they are Busy and in step") {
  // The largest request is the whole budget: encoded tensors, and those that they become.
  Fixture fixture([](server::ServerOptions& options) {
    options.payload_budget_bytes = 8 * 8 * 4 * sizeof(float) * 2 * 2 + 1;
    options.picture.max_file_bytes = options.payload_budget_bytes;
  });
  std::uint32_t cut = 0;
  while (fixture.cuts().at(cut).boundary_bytes != 8 * 8 * 4 * sizeof(float) * 2) ++cut;
  const std::vector<float> tensors = fixture.boundary(cut, 1);
  const auto codec =
      BoundaryCodec::create(*fixture.server.model().file, 0, cut, {.codec = fbs::Codec::Lossless});
  REQUIRE(codec.is_ok());
  std::vector<std::byte> bytes((*codec)->max_encoded_bytes());
  std::vector<std::span<const std::byte>> parts;
  std::size_t place = 0;
  for (const TensorId id : fixture.cuts().at(cut).boundary_tensors) {
    const auto& model = fixture.server.model().file->header();
    const std::size_t size = tensor_bytes(*model.variants()->Get(0)->tensors()->Get(id));
    parts.push_back(std::as_bytes(std::span(tensors)).subspan(place, size));
    place += size;
  }
  bytes.resize((*codec)->encode(parts, bytes));
  const auto request_of = [&](std::uint64_t id) {
    return make_request({.request_id = id, .cut = cut, .codec = fbs::Codec::Lossless},
                        bytes.size());
  };

  auto slow = std::make_unique<RawClient>(fixture.server.port());
  fixture.greet(*slow, kFeatureBoundaryCodecs);
  REQUIRE(slow->send(request_of(1)));
  REQUIRE(slow->send(std::span(bytes).first(bytes.size() / 2)));

  RawClient other(fixture.server.port());
  fixture.greet(other, kFeatureBoundaryCodecs);
  std::uint64_t id = 0;
  const auto ask_other = [&] {
    REQUIRE(other.send(request_of(++id)));
    REQUIRE(other.send(bytes));
    const fbs::Envelope* reply = other.receive();
    REQUIRE(reply != nullptr);
    return reply;
  };
  // Asks until the reply is of the wanted kind: the two connections are not in step.
  const auto ask_until = [&](fbs::Message wanted) {
    const fbs::Envelope* reply = ask_other();
    for (int i = 0; i < 500 && reply->message_type() != wanted; ++i) {
      std::this_thread::sleep_for(milliseconds(10));
      reply = ask_other();
    }
    REQUIRE(reply->message_type() == wanted);
    return reply;
  };
  const fbs::Error* busy = ask_until(fbs::Message::Error)->message_as_Error();
  CHECK(busy->code() == fbs::ErrorCode::Busy);
  CHECK(busy->request_id() == id);
  CHECK(busy->retry_after_ms() >= 500);  // though no request waits for a worker
  REQUIRE(other.send(make_ping(7)));
  CHECK(other.receive()->message_as_Pong()->nonce() == 7);

  SUBCASE("the first is not harmed, and makes room when it is answered") {
    REQUIRE(slow->send(std::span(bytes).subspan(bytes.size() / 2)));
    const fbs::Answer* answer = slow->receive()->message_as_Answer();
    REQUIRE(answer != nullptr);
    CHECK(std::vector<float>(answer->scores()->begin(), answer->scores()->end()) ==
          fixture.expected(cut, tensors));
    CHECK(ask_other()->message_type() == fbs::Message::Answer);
  }
  SUBCASE("the first goes away in the middle, which makes room as well") {
    slow.reset();
    ask_until(fbs::Message::Answer);
  }
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.busy_payloads > 0);
  CHECK(stats.peak_payload_bytes == bytes.size() + tensors.size() * sizeof(float));
}

TEST_CASE("a budget that one request would never fit is refused at the start") {
  const auto start = [](std::uint64_t budget_bytes, std::uint64_t picture_bytes) {
    server::asio::io_context io;
    server::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.payload_budget_bytes = budget_bytes;
    options.picture.max_file_bytes = picture_bytes;
    const ServerThread models(all_ops_model().build());
    return server::Server(io, models.models(), options).listen();
  };
  CHECK(start(1'000'000, 1'000'000).is_ok());
  const Status picture = start(1'000'000, 1'000'001);
  CHECK(picture.code() == StatusCode::kInvalidArgument);
  CHECK(picture.message().find("--payload-budget") != std::string::npos);
  CHECK(start(100, 1).code() == StatusCode::kInvalidArgument);  // boundary tensors
}

TEST_CASE("a connection over the most allowed is told Busy and closed, whatever it does") {
  Fixture fixture([](server::ServerOptions& options) { options.max_connections = 1; });
  auto first = std::make_unique<RawClient>(fixture.server.port());
  fixture.greet(*first);
  RawClient second(fixture.server.port());
  SUBCASE("says Hello") {
    REQUIRE(second.send(make_hello({.device = "second", .model_identity = fixture.identity()})));
  }
  SUBCASE("says nothing") {}
  const fbs::Error* error = receive_error(second);
  CHECK(error->request_id() == 0);
  CHECK(error->code() == fbs::ErrorCode::Busy);
  CHECK(error->retry_after_ms() > 0);
  CHECK(second.closed_within(5'000));
  REQUIRE(first->send(make_ping(1)));
  CHECK(first->receive()->message_as_Pong()->nonce() == 1);
  CHECK(fixture.stats().refused_connections == 1);
}

TEST_CASE("a crowd at the door that stays and says nothing keeps nobody from coming in") {
  Fixture fixture([](server::ServerOptions& options) { options.max_connections = 1; });
  constexpr std::size_t kCrowd = server::Doorman::kMostVisitors + 40;
  auto first = std::make_unique<RawClient>(fixture.server.port());
  fixture.greet(*first);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (std::size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(std::make_unique<RawClient>(fixture.server.port()));
  }
  REQUIRE(first->send(make_ping(1)));
  CHECK(first->receive()->message_as_Pong()->nonce() == 1);
  unsigned told = 0;
  for (const auto& visitor : crowd) {
    const fbs::Envelope* reply = visitor->receive();
    if (reply != nullptr) ++told;
  }
  // How many were too many at the same time depends on the machine's speed.
  CHECK(told >= server::Doorman::kMostVisitors);
  for (const auto& visitor : crowd) CHECK(visitor->closed_within(5'000));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  REQUIRE(first->send(make_goodbye("done")));
  CHECK(first->closed_within(5'000));
  first.reset();
  bool welcome = false;
  for (int i = 0; i < 100 && !welcome; ++i) {
    RawClient next(fixture.server.port());
    REQUIRE(next.send(make_hello({.device = "next", .model_identity = fixture.identity()})));
    const fbs::Envelope* reply = next.receive();
    REQUIRE(reply != nullptr);
    welcome = reply->message_type() == fbs::Message::Welcome;
    if (!welcome) std::this_thread::sleep_for(milliseconds(20));
  }
  CHECK(welcome);
  CHECK(fixture.stats().refused_connections >= kCrowd);
}

}  // namespace cleave::test
