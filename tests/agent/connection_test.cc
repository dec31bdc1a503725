// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of the wire against servers that answer right, wrong, late or never.
#include "agent/connection.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "tests/agent/scripted_server.h"

namespace cleave::agent {
namespace {

using std::chrono::milliseconds;
using test::ScriptedPeer;
using test::ScriptedServer;

constexpr ModelIdentity kIdentity{1, 2, 3};

ConnectionOptions options_for(std::uint16_t port) {
  ConnectionOptions options;
  options.server = {"127.0.0.1", port};
  options.model_identity = kIdentity;
  options.score_count = 3;
  options.handshake_timeout = milliseconds(500);
  options.stall_timeout = milliseconds(300);
  options.answer_timeout = milliseconds(500);
  options.first_backoff = milliseconds(20);
  options.longest_backoff = milliseconds(20);
  return options;
}

FrameBytes make_welcome(const ModelIdentity& identity) {
  flatbuffers::FlatBufferBuilder builder;
  ProfileData profile;
  profile.model_identity = identity;
  profile.processor = "test";
  profile.variants.push_back({"f32", 1, 1, {5}, {6}});
  const auto table = build_profile(builder, profile);
  const auto welcome = fbs::CreateWelcome(builder, kProtocolVersion, builder.CreateString("test"),
                                          1, 4, 1 << 20, table);
  return finish_frame(builder, fbs::Message::Welcome, welcome.Union());
}

// Hello, Welcome, three Pings.
void greet(ScriptedPeer& peer) {
  if (peer.receive() == nullptr) return;
  peer.send(make_welcome(kIdentity));
  for (int i = 0; i < 3; ++i) {
    const fbs::Envelope* ping = peer.receive();
    if (ping == nullptr || ping->message_as_Ping() == nullptr) return;
    peer.send(make_pong(ping->message_as_Ping()->nonce()));
  }
}

struct Outcome {
  Status status;
  ServerAnswer answer;
};

// One exchange of four bytes, on a connection of its own or on `connection`.
Outcome exchange(boost::asio::io_context& io, Connection& connection) {
  static constexpr std::byte kPayload[4] = {};
  Outcome outcome;
  boost::asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        Outgoing request;
        request.request_id = 42;
        request.cut = 1;
        request.attachment.emplace_back(kPayload);
        outcome.status = co_await connection.exchange(request, outcome.answer);
      },
      boost::asio::detached);
  io.restart();
  io.run();
  return outcome;
}

Outcome exchange_once(const ScriptedServer& server) {
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  return exchange(io, connection);
}

}  // namespace

TEST_CASE("an answer, its times and the server's table") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    greet(peer);
    const fbs::Envelope* request = peer.receive();
    if (request == nullptr) return;
    const std::uint64_t id = request->message_as_Request()->request_id();
    peer.send(make_goodbye("soon"));                                  // ignored here
    peer.send(make_answer(id + 1, std::vector<float>{9, 9, 9}, {}));  // of no request of ours
    peer.send(
        make_answer(id, std::vector<float>{1, 2, 3}, {.residence_ns = 1000, .compute_ns = 7}));
    (void)peer.receive();
  });
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  const Outcome outcome = exchange(io, connection);
  REQUIRE_MESSAGE(outcome.status.is_ok(), outcome.status.message());
  CHECK(outcome.answer.scores == std::vector<float>{1, 2, 3});
  CHECK(outcome.answer.times.compute_ns == 7);
  CHECK(outcome.answer.wait_ns > 0);
  CHECK(outcome.answer.frame_bytes_up > 4);
  REQUIRE(connection.server_profile().has_value());
  CHECK(connection.server_profile()->variants[0].op_median_ns == std::vector<std::uint64_t>{5});
  CHECK(connection.rtt_ns() > 0);
}

TEST_CASE("wrong servers are found out") {
  SUBCASE("garbage instead of a frame") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      peer.send(std::as_bytes(std::span("HTTP/1.1 400 Bad Request\r\n\r\n")));
      (void)peer.receive();
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kCorrupt);
  }
  SUBCASE("the table of another model") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      (void)peer.receive();
      peer.send(make_welcome(ModelIdentity{9}));
      (void)peer.receive();
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kMismatch);
  }
  SUBCASE("too few scores") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      greet(peer);
      if (peer.receive() != nullptr) peer.send(make_answer(42, std::vector<float>{1}, {}));
      (void)peer.receive();
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kCorrupt);
  }
  SUBCASE("an attachment to an answer") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      greet(peer);
      if (peer.receive() != nullptr)
        peer.send(make_request(1, 0, 0, fbs::Codec::RawF32, 0, 1 << 30));
      (void)peer.receive();
    });
    CHECK_FALSE(exchange_once(server).status.is_ok());
  }
}

TEST_CASE("servers that go away or say nothing end in time") {
  SUBCASE("closed in the middle of a frame") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      greet(peer);
      if (peer.receive() == nullptr) return;
      const FrameBytes answer = make_answer(42, std::vector<float>{1, 2, 3}, {});
      peer.send(std::span(answer).first(answer.size() / 2));
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kUnavailable);
  }
  SUBCASE("silent after the request") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      greet(peer);
      while (peer.receive() != nullptr) {
      }
    });
    const auto start = Clock::now();
    CHECK(exchange_once(server).status.code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < std::chrono::seconds(5));
  }
  SUBCASE("silent from the start") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      while (peer.receive() != nullptr) {
      }
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kDeadlineExceeded);
  }
}

TEST_CASE("errors of the server by their kind") {
  struct Case {
    fbs::ErrorCode sent;
    StatusCode seen;
  };
  for (const Case& one : {Case{fbs::ErrorCode::Busy, StatusCode::kResourceExhausted},
                          Case{fbs::ErrorCode::BadPicture, StatusCode::kInvalidArgument},
                          Case{fbs::ErrorCode::DeadlineExceeded, StatusCode::kDeadlineExceeded},
                          Case{fbs::ErrorCode::UnknownModel, StatusCode::kMismatch},
                          Case{fbs::ErrorCode::ShuttingDown, StatusCode::kUnavailable}}) {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      greet(peer);
      if (peer.receive() != nullptr) peer.send(make_error(42, one.sent, "words"));
      (void)peer.receive();
    });
    const Status status = exchange_once(server).status;
    CHECK(status.code() == one.seen);
    CHECK(status.message().find("words") != std::string::npos);
  }
}

TEST_CASE("after a failure the backoff holds, then the connection is made anew") {
  const ScriptedServer server([](ScriptedPeer& peer, int number) {
    if (number == 0) return;  // closes at once
    greet(peer);
    if (peer.receive() != nullptr) peer.send(make_answer(42, std::vector<float>{1, 2, 3}, {}));
    (void)peer.receive();
  });
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  CHECK(server.connections() == 1);  // too early: not tried
  std::this_thread::sleep_for(milliseconds(30));
  CHECK(exchange(io, connection).status.is_ok());
  CHECK(server.connections() == 2);
}

TEST_CASE("a busy server is offered nothing before the time it asked for") {
  std::atomic<int> requests{0};
  const auto serve = [&](ScriptedPeer& peer, std::uint32_t retry_after_ms) {
    greet(peer);
    while (peer.receive() != nullptr) {
      if (requests++ == 0) {
        peer.send(make_error(42, fbs::ErrorCode::Busy, "full", retry_after_ms));
      } else {
        peer.send(make_answer(42, std::vector<float>{1, 2, 3}, {}));
      }
    }
  };
  boost::asio::io_context io(1);
  SUBCASE("not sooner, and then on the same connection") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) { serve(peer, 150); });
    Connection connection(io.get_executor(), options_for(server.port()));
    CHECK(exchange(io, connection).status.code() == StatusCode::kResourceExhausted);
    const Status paused = exchange(io, connection).status;
    CHECK(paused.code() == StatusCode::kUnavailable);
    CHECK(paused.message().find("asked for a pause") != std::string::npos);
    CHECK(requests == 1);
    std::this_thread::sleep_until(connection.quiet_until());
    CHECK(exchange(io, connection).status.is_ok());
    CHECK(requests == 2);
    CHECK(server.connections() == 1);
  }
  SUBCASE("a server that asks for weeks gets the longest pause") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) { serve(peer, UINT32_MAX); });
    ConnectionOptions options = options_for(server.port());
    CHECK(options.longest_pause == std::chrono::seconds(60));
    options.longest_pause = milliseconds(100);
    Connection connection(io.get_executor(), options);
    CHECK(exchange(io, connection).status.code() == StatusCode::kResourceExhausted);
    CHECK(connection.quiet_until() <= Clock::now() + milliseconds(100));
    std::this_thread::sleep_until(connection.quiet_until());
    CHECK(exchange(io, connection).status.is_ok());
  }
  SUBCASE("a pause in a refused handshake counts too") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      if (peer.receive() != nullptr) peer.send(make_error(0, fbs::ErrorCode::Busy, "full", 5'000));
      (void)peer.receive();
    });
    Connection connection(io.get_executor(), options_for(server.port()));
    CHECK(exchange(io, connection).status.code() == StatusCode::kResourceExhausted);
    std::this_thread::sleep_for(milliseconds(30));  // longer than the backoff
    CHECK(exchange(io, connection).status.message().find("pause") != std::string::npos);
    CHECK(server.connections() == 1);
  }
}

}  // namespace cleave::agent
