// SPDX-License-Identifier: Apache-2.0
//
// A session for which there is no memory ends; the server goes on, and still ends in order.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <utility>

#include "schemas/protocol.h"
#include "tests/server/failing_memory.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

// A session that leaked would hold the end up until the drain timeout, and longer.
void check_ends_at_once(Fixture& fixture) {
  const auto start = std::chrono::steady_clock::now();
  fixture.server.stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

// A doorman, and who comes to it, on the test's own thread.
class Door {
 public:
  explicit Door(std::span<std::byte> scrap) : doorman_(scrap) {}

  // The doorman's memory fails as `fail` says; true when the visitor was told Busy.
  template <typename Fail>
  bool visit(const Fail& fail) {
    RawClient visitor(acceptor_.local_endpoint().port());
    server::tcp::socket socket = acceptor_.accept();
    work();  // the last visitor has left
    fail();
    doorman_.turn_away(std::move(socket));
    work();
    failed_ = stop_failing();
    // Gone without a word when that failed.
    if (failed_) return !visitor.closed_within(1'000);
    const fbs::Envelope* reply = visitor.receive();
    return reply != nullptr && reply->message_type() == fbs::Message::Error &&
           reply->message_as_Error()->code() == fbs::ErrorCode::Busy;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  void work() {
    io_.restart();
    io_.poll();
  }

  server::asio::io_context io_{1};
  server::Doorman doorman_;
  server::tcp::acceptor acceptor_{
      io_, server::tcp::endpoint(server::asio::ip::address_v4::loopback(), 0)};
  bool failed_ = false;
};

}  // namespace

TEST_CASE("whichever allocation of the doorman fails, its visitor is closed and forgotten") {
  std::vector<std::byte> scrap(1024);
  Door door(scrap);
  int nth = 0;
  for (bool failed = true; failed; ++nth) {
    REQUIRE(nth < 100);
    CAPTURE(nth);
    // More than it would remember: none may be left of them.
    for (std::size_t i = 0; i <= server::Doorman::kMostVisitors; ++i) {
      const bool told = door.visit([&] { fail_operator_new(nth); });
      failed = door.failed();
      REQUIRE(told == !failed);
      if (!failed) break;
    }
  }
  CHECK(nth >= 4);  // the visitor, its place, its words, and none
  for (std::size_t i = 0; i <= server::Doorman::kMostVisitors; ++i) {
    REQUIRE_FALSE(door.visit([] { fail_aligned_alloc_from(1); }));
  }
  CHECK(door.visit([] {}));
}

TEST_CASE("a session whose writer fails is closed all the same") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  // What the writer does last is the only thing in a session that takes a page at a time.
  fixture.server.on_network_thread([] { fail_aligned_alloc_from(4096); });
  REQUIRE(client.send(make_goodbye("done")));
  CHECK(client.closed_within(5'000));
  bool failed = false;
  fixture.server.on_network_thread([&] { failed = stop_failing(); });
  CHECK(failed);
  check_ends_at_once(fixture);
}

TEST_CASE("whichever allocation of a session fails, only that session ends") {
  Fixture fixture;
  constexpr std::uint32_t kCut = 1;
  const std::vector<float> tensors = fixture.boundary(kCut, 1);
  const std::vector<float> expected = fixture.expected(kCut, tensors);
  std::uint64_t id = 0;
  // Asks twice under one id, as far as the server lets it go.
  const auto use = [&](RawClient& client) {
    if (!client.send(make_hello({.device = "test",
                                 .model_identity = fixture.identity(),
                                 .features = kFeatureResend | kFeatureCancel})))
      return false;
    if (client.receive() == nullptr) return false;
    ++id;
    for (int i = 0; i < 2; ++i) {
      if (!fixture.request(client, id, kCut, tensors)) return false;
      const fbs::Envelope* reply = client.receive();
      if (reply == nullptr || reply->message_as_Answer() == nullptr) return false;
      CHECK(scores_of(*reply->message_as_Answer()) == expected);
    }
    return client.send(make_goodbye("done")) && client.closed_within(5'000);
  };
  int failures = 0, ended = 0;
  std::uint64_t connected = 0;
  for (bool failed = true; failed; failures += failed) {
    REQUIRE(failures < 500);
    CAPTURE(failures);
    {
      // Accepting is Asio's; what is tried here is ours, from Hello on.
      RawClient unlucky(fixture.server.port());
      ++connected;
      for (bool accepted = false; !accepted;) {
        fixture.server.on_network_thread([&] {
          accepted = fixture.server.stats().connections == connected;
          if (accepted) fail_operator_new(failures);
        });
      }
      ended += use(unlucky) ? 0 : 1;
    }
    fixture.server.on_network_thread([&] { failed = stop_failing(); });
    RawClient next(fixture.server.port());
    ++connected;
    CHECK(use(next));
  }
  CHECK(failures >= 8);  // its texts, messages, request, buffers and answer at the least
  CHECK(ended >= 8);
  check_ends_at_once(fixture);
}

}  // namespace cleave::test
