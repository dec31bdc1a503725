// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of the wire against servers that answer right or wrong, or cannot be had.
#include "agent/connection.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "tests/agent/connection_exchange.h"
#include "tests/agent/scripted_server.h"

namespace cleave::agent {

TEST_CASE("an answer, its times and the server's table") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
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
  const Exchanged outcome = exchange(io, connection);
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
      peer.send(test::make_test_welcome(ModelIdentity{9}, 1 << 20));
      (void)peer.receive();
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kMismatch);
  }
  SUBCASE("a version that was not offered, whatever else is right") {
    for (const int version : {0, kLowestProtocolVersion - 1, kProtocolVersion + 1, 65535}) {
      CAPTURE(version);
      const ScriptedServer server([version](ScriptedPeer& peer, int) {
        if (peer.receive() == nullptr) return;
        peer.send(make_welcome({.server = "test",
                                .session_id = 1,
                                .protocol_version = static_cast<std::uint16_t>(version)}));
        (void)peer.receive();
      });
      const Status status = exchange_once(server).status;
      CHECK(status.code() == StatusCode::kMismatch);  // exit code 6
      CHECK(status.message().find("version " + std::to_string(version)) != std::string::npos);
    }
  }
  SUBCASE("refused instead of welcomed: for good where a person has to look, else not") {
    const std::pair<fbs::ErrorCode, StatusCode> refusals[] = {
        {fbs::ErrorCode::VersionMismatch, StatusCode::kMismatch},
        {fbs::ErrorCode::Unauthorized, StatusCode::kMismatch},
        {fbs::ErrorCode::UnknownModel, StatusCode::kMismatch},
        {fbs::ErrorCode::ShuttingDown, StatusCode::kUnavailable}};
    for (const auto& [sent, seen] : refusals) {
      const ScriptedServer server([code = sent](ScriptedPeer& peer, int) {
        if (peer.receive() != nullptr) peer.send(make_error(0, code, "words"));
        (void)peer.receive();
      });
      boost::asio::io_context io(1);
      ConnectionOptions options = options_for(server.port());
      options.first_backoff = options.longest_backoff = milliseconds(1);
      Connection connection(io.get_executor(), options);
      const Status status = exchange(io, connection).status;
      CHECK(status.code() == seen);
      CHECK(status.message().find("words") != std::string::npos);
      std::this_thread::sleep_until(connection.retry_at());
      CHECK(exchange(io, connection).status.code() == seen);
      CHECK(server.connections() == (seen == StatusCode::kMismatch ? 1 : 2));
    }
  }
  SUBCASE("too few scores") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() != nullptr) peer.send(make_answer(42, std::vector<float>{1}, {}));
      (void)peer.receive();
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kCorrupt);
  }
  SUBCASE("an attachment to an answer") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() != nullptr) peer.send(make_request({.request_id = 1}, 1 << 30));
      (void)peer.receive();
    });
    CHECK_FALSE(exchange_once(server).status.is_ok());
  }
}

TEST_CASE("servers that go away or say nothing end in time") {
  SUBCASE("closed in the middle of a frame") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() == nullptr) return;
      const FrameBytes answer = make_answer(42, std::vector<float>{1, 2, 3}, {});
      peer.send(std::span(answer).first(answer.size() / 2));
    });
    CHECK(exchange_once(server).status.code() == StatusCode::kUnavailable);
  }
  SUBCASE("silent after the request") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      while (peer.receive() != nullptr) {
      }
    });
    boost::asio::io_context io(1);
    Connection connection(io.get_executor(), options_for(server.port()));
    const auto start = Clock::now();
    const Status status = exchange(io, connection, kPayload, seconds(1)).status;
    CHECK(status.code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < kSoon);
  }
  SUBCASE("silent from the start") {
    const ScriptedServer server([](ScriptedPeer& peer, int) {
      while (peer.receive() != nullptr) {
      }
    });
    boost::asio::io_context io(1);
    ConnectionOptions options = options_for(server.port());
    options.handshake_timeout = milliseconds(500);
    Connection connection(io.get_executor(), options);
    const auto start = Clock::now();
    CHECK(exchange(io, connection).status.code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < kSoon);
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
                          Case{fbs::ErrorCode::VersionMismatch, StatusCode::kMismatch},
                          Case{fbs::ErrorCode::Unauthorized, StatusCode::kMismatch},
                          Case{fbs::ErrorCode::ShuttingDown, StatusCode::kUnavailable}}) {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() != nullptr) peer.send(make_error(42, one.sent, "words"));
      (void)peer.receive();
    });
    const Status status = exchange_once(server).status;
    CHECK(status.code() == one.seen);
    CHECK(status.message().find("words") != std::string::npos);
  }
}

TEST_CASE("why there was no connection is counted") {
  using Counter = std::uint64_t LinkCounters::*;
  const auto failed = [](std::uint16_t port, Counter counter, seconds patience = kPatience) {
    boost::asio::io_context io(1);
    ConnectionOptions options = options_for(port);
    options.handshake_timeout = patience;
    Connection connection(io.get_executor(), options);
    CHECK_FALSE(exchange(io, connection).status.is_ok());
    const LinkCounters counters = connection.counters();
    CHECK(counters.connect_failures == 1);
    CHECK(counters.*counter == 1);
    CHECK(counters.connections == 0);
    CHECK(counters.asked == 0);
  };
  std::uint16_t nobody = 0;
  {
    const ScriptedServer gone([](ScriptedPeer&, int) {});
    nobody = gone.port();
  }
  failed(nobody, &LinkCounters::connect_unreachable);
  const auto answers_hello = [](FrameBytes frame) {
    return [frame = std::move(frame)](ScriptedPeer& peer, int) {
      if (peer.receive() == nullptr) return;
      peer.send(frame);
      (void)peer.receive();
    };
  };
  const ScriptedServer silent([](ScriptedPeer& peer, int) {
    while (peer.receive() != nullptr) {
    }
  });
  failed(silent.port(), &LinkCounters::connect_timeouts, seconds(1));
  const ScriptedServer other(
      answers_hello(make_error(0, fbs::ErrorCode::UnknownModel, "not mine")));
  failed(other.port(), &LinkCounters::connect_mismatches);
  const ScriptedServer busy(answers_hello(make_error(0, fbs::ErrorCode::Busy, "full")));
  failed(busy.port(), &LinkCounters::connect_busy);
  const ScriptedServer strange(answers_hello(make_pong(1)));
  failed(strange.port(), &LinkCounters::connect_broken);
}

TEST_CASE("after a failure the backoff holds, then the connection is made anew") {
  const ScriptedServer server([](ScriptedPeer& peer, int number) {
    if (number == 0) return;  // closes at once
    peer.greet(kIdentity);
    if (peer.receive() != nullptr) peer.send(make_answer(42, std::vector<float>{1, 2, 3}, {}));
    (void)peer.receive();
  });
  boost::asio::io_context io(1);
  ConnectionOptions options = options_for(server.port());
  options.first_backoff = options.longest_backoff = seconds(3);
  Connection connection(io.get_executor(), options);
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  CHECK(server.connections() == 1);  // too early: not tried
  CHECK(connection.retry_at() <= Clock::now() + options.longest_backoff);
  std::this_thread::sleep_until(connection.retry_at());
  CHECK(exchange(io, connection).status.is_ok());
  CHECK(server.connections() == 2);
}

TEST_CASE("a busy server is offered nothing before the time it asked for") {
  std::atomic<int> requests{0};
  const auto serve = [&](ScriptedPeer& peer, std::uint32_t retry_after_ms) {
    peer.greet(kIdentity);
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
    const ScriptedServer server([&](ScriptedPeer& peer, int) { serve(peer, 2'000); });
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
      if (peer.receive() != nullptr) peer.send(make_error(0, fbs::ErrorCode::Busy, "full", 60'000));
      (void)peer.receive();
    });
    ConnectionOptions options = options_for(server.port());
    options.first_backoff = options.longest_backoff = milliseconds(20);
    Connection connection(io.get_executor(), options);
    CHECK(exchange(io, connection).status.code() == StatusCode::kResourceExhausted);
    std::this_thread::sleep_until(connection.retry_at());
    CHECK(exchange(io, connection).status.message().find("pause") != std::string::npos);
    CHECK(server.connections() == 1);
  }
}

}  // namespace cleave::agent
