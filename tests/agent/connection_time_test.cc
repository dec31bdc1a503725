// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of the wire against servers that answer late, slowly, at their end or never.
#include "agent/connection.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <future>

#include "tests/agent/connection_exchange.h"
#include "tests/agent/scripted_server.h"

namespace cleave::agent {

TEST_CASE("the request's deadline holds whatever is under way") {
  constexpr seconds kTimeout{2};
  std::atomic<std::uint64_t> remaining_ns{0};
  std::promise<void> over;
  const ScriptedServer server([&, ended = over.get_future().share()](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
    const fbs::Envelope* request = peer.receive();
    if (request == nullptr) return;
    remaining_ns = request->message_as_Request()->remaining_ns();
    // Chatter is no answer and wins no time.
    for (int i = 0; i < 1'000; ++i) {
      if (!peer.send(make_pong(7))) return;
      if (ended.wait_for(milliseconds(25)) != std::future_status::timeout) return;
    }
  });
  boost::asio::io_context io(1);
  ConnectionOptions options = options_for(server.port());
  SUBCASE("waiting for the answer") {}
  SUBCASE("sending on a slow link") { options.uplink_bits_per_second = 1'000; }
  Connection connection(io.get_executor(), options);
  const auto start = Clock::now();
  const Status status = exchange(io, connection, kPayload, kTimeout).status;
  over.set_value();
  CHECK(status.code() == StatusCode::kDeadlineExceeded);
  CHECK(Clock::now() - start >= kTimeout);
  CHECK(Clock::now() - start < kSoon);
  CHECK_FALSE(connection.is_open());  // the late answer must not meet the next request
  if (options.uplink_bits_per_second == 0) {
    CHECK(remaining_ns > 0);
    CHECK(std::chrono::nanoseconds(remaining_ns) <= kTimeout);
  }
}

TEST_CASE("a slow link is no stalled one") {
  // 8 KiB each 25 ms: 1 MiB takes longer than the stall timeout, and bytes move all the time.
  constexpr std::size_t kBytes = 1 << 20;
  constexpr seconds kStall{2};
  const std::vector<std::byte> payload(kBytes);
  std::promise<void> over;
  const auto script = [ended = over.get_future().share()](std::size_t bytes, milliseconds pause) {
    return [=](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      const std::size_t frame =
          make_request({.request_id = 42, .cut = 1, .remaining_ns = 1}, kBytes).size();
      if (!peer.drain(frame + bytes, 8 << 10, pause)) return;
      if (bytes == kBytes) peer.send(make_answer(42, std::vector<float>{1, 2, 3}, {}));
      ended.wait();
    };
  };
  boost::asio::io_context io(1);
  const auto ask = [&](const ScriptedServer& server) {
    ConnectionOptions options = options_for(server.port());
    options.stall_timeout = kStall;
    Connection connection(io.get_executor(), options);
    Exchanged outcome = exchange(io, connection, payload);
    over.set_value();
    return outcome;
  };
  const auto start = Clock::now();
  SUBCASE("sent to the end") {
    const ScriptedServer server(script(kBytes, milliseconds(25)), 16 << 10);
    const Exchanged outcome = ask(server);
    CHECK_MESSAGE(outcome.status.is_ok(), outcome.status.message());
    CHECK(Clock::now() - start > kStall);
    CHECK(outcome.answer.attachment_bytes_up == kBytes);
  }
  SUBCASE("one that stands still is given up after the stall timeout") {
    const ScriptedServer server(script(kBytes / 8, milliseconds(1)), 16 << 10);
    const Exchanged outcome = ask(server);
    CHECK(outcome.status.code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < kSoon);
    CHECK(outcome.answer.attachment_bytes_up >= kBytes / 8);
    CHECK(outcome.answer.attachment_bytes_up < kBytes);
  }
}

TEST_CASE("a server that drips its bytes wins no time") {
  std::promise<void> over;
  const auto drip = [ended = over.get_future().share()](ScriptedPeer& peer,
                                                        const FrameBytes& bytes) {
    for (const std::byte& byte : bytes) {
      if (!peer.send(std::span(&byte, 1))) return;
      if (ended.wait_for(milliseconds(250)) != std::future_status::timeout) return;
    }
  };
  boost::asio::io_context io(1);
  const auto ask = [&](const ConnectionOptions& options) {
    Connection connection(io.get_executor(), options);
    Status status = exchange(io, connection).status;
    over.set_value();
    return status;
  };
  const auto start = Clock::now();
  SUBCASE("in the handshake") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      if (peer.receive() != nullptr) drip(peer, test::make_test_welcome(kIdentity, 1 << 20));
    });
    ConnectionOptions options = options_for(server.port());
    options.handshake_timeout = seconds(1);
    CHECK(ask(options).code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < kSoon);
  }
  SUBCASE("in the answer") {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() == nullptr) return;
      drip(peer, make_answer(42, std::vector<float>{1, 2, 3}, {}));
    });
    ConnectionOptions options = options_for(server.port());
    options.stall_timeout = seconds(1);
    CHECK(ask(options).code() == StatusCode::kDeadlineExceeded);
    CHECK(Clock::now() - start < kSoon);
  }
}

TEST_CASE("a server's Pings are answered, and its Goodbye ends the connection after the answer") {
  std::atomic<std::uint64_t> pong{0};
  const ScriptedServer server([&](ScriptedPeer& peer, int number) {
    peer.greet(kIdentity);
    if (peer.receive() == nullptr) return;
    if (number == 0) peer.send(make_goodbye("soon"));
    peer.send(make_ping(77));
    const fbs::Envelope* reply = peer.receive();
    if (reply == nullptr || reply->message_as_Pong() == nullptr) return;
    pong = reply->message_as_Pong()->nonce();
    peer.send(make_answer(42, std::vector<float>{1, 2, 3}, {}));
    (void)peer.receive();
  });
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  const Status first = exchange(io, connection).status;
  REQUIRE_MESSAGE(first.is_ok(), first.message());
  CHECK(pong == 77);
  CHECK_FALSE(connection.is_open());
  CHECK(exchange(io, connection).status.is_ok());  // at once, on another
  CHECK(connection.is_open());
  CHECK(server.connections() == 2);
  CHECK(connection.handshakes() == 2);
}

TEST_CASE("a server that says Goodbye in the handshake already is asked nothing") {
  std::atomic<bool> asked{false};
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    if (peer.receive() == nullptr) return;
    peer.send(test::make_test_welcome(kIdentity, 1 << 20));
    peer.send(make_goodbye("soon"));
    while (const fbs::Envelope* message = peer.receive()) {
      if (const fbs::Ping* ping = message->message_as_Ping()) {
        peer.send(make_pong(ping->nonce()));
      } else if (message->message_as_Request() != nullptr) {
        asked = true;
      }
    }
  });
  const Status status = exchange_once(server).status;
  CHECK(status.code() == StatusCode::kUnavailable);
  CHECK(status.message().find("Goodbye") != std::string::npos);
  CHECK_FALSE(asked);
}

TEST_CASE(
    "what one request got wrong keeps the connection, what the server closes after does not") {
  struct Case {
    fbs::ErrorCode sent;
    bool stays;
  };
  for (const Case& one :
       {Case{fbs::ErrorCode::Busy, true}, Case{fbs::ErrorCode::BadPicture, true},
        Case{fbs::ErrorCode::DeadlineExceeded, true}, Case{fbs::ErrorCode::BadRequest, false},
        Case{fbs::ErrorCode::ShuttingDown, false}}) {
    CAPTURE(static_cast<int>(one.sent));
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      peer.greet(kIdentity);
      if (peer.receive() != nullptr) peer.send(make_error(42, one.sent, "words"));
      (void)peer.receive();
    });
    boost::asio::io_context io(1);
    Connection connection(io.get_executor(), options_for(server.port()));
    CHECK_FALSE(exchange(io, connection).status.is_ok());
    CHECK(connection.is_open() == one.stays);
  }
}

TEST_CASE(
    "a server that greets and never answers is met with the backoff, and the reason is kept") {
  const ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.greet(kIdentity);
    (void)peer.receive();
  });
  boost::asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(server.port()));
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  CHECK(exchange(io, connection).status.code() == StatusCode::kUnavailable);
  const Status held = exchange(io, connection).status;
  CHECK(held.code() == StatusCode::kUnavailable);
  CHECK(held.message().find("waiting for the server") != std::string::npos);
  CHECK(held.message().find("tried again in") != std::string::npos);
  CHECK(server.connections() == 2);  // mended at once one time
}

TEST_CASE("a name look-up that hangs holds up neither the request nor the end") {
  const auto release = std::make_shared<std::promise<void>>();
  {
    boost::asio::io_context io(1);
    ConnectionOptions options = options_for(1);
    options.server.host = "slow.example";
    options.connect_timeout = milliseconds(150);
    options.name_system = [done = release->get_future().share()](
                              const std::string&) -> Result<NameLookup::Addresses> {
      done.wait();
      return Status(StatusCode::kUnavailable, "too late");
    };
    Connection connection(io.get_executor(), options);
    const auto start = Clock::now();
    const Status status = exchange(io, connection).status;
    CHECK(status.code() == StatusCode::kDeadlineExceeded);
    CHECK(status.message().find("looking up") != std::string::npos);
    CHECK(Clock::now() - start < kSoon);
  }  // everything is gone while the look-up still hangs
  release->set_value();
}

}  // namespace cleave::agent
