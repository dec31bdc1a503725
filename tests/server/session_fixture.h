// SPDX-License-Identifier: Apache-2.0
//
// A server with a small model, and what a well-behaved agent says to it.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "tests/server/raw_client.h"
#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {

using std::chrono::milliseconds;

inline std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 2000) / 1000.0F - 1.0F;
  return values;
}

struct Fixture {
  explicit Fixture(const std::function<void(server::ServerOptions&)>& adjust = {},
                   ModelBuilder model = all_ops_model())
      : server(model.build(), adjust) {}

  ServerThread server;

  [[nodiscard]] const ModelIdentity& identity() const { return server.model().file->identity(); }
  // The counters now, without an end.
  [[nodiscard]] server::ServerStats stats() {
    server::ServerStats now;
    server.on_network_thread([&] { now = server.stats(); });
    return now;
  }

  // Waits for counters of what the server notices by itself, a moment after its clients.
  template <typename Condition>
  void await_stats(const Condition& condition) {
    for (int i = 0; i < 1'000; ++i) {
      if (condition(stats())) return;
      std::this_thread::sleep_for(milliseconds(5));
    }
    FAIL("it did not happen");
  }

  [[nodiscard]] const std::vector<Cut>& cuts() const { return server.model().variants[0].cuts; }

  // Shakes hands as `device`, which can do `features`; the Welcome is valid until the next message.
  const fbs::Welcome* greet(RawClient& client, std::uint64_t features = 0,
                            std::string_view device = "test") const {
    REQUIRE(client.send(
        make_hello({.device = device, .model_identity = identity(), .features = features})));
    const fbs::Envelope* reply = client.receive();
    REQUIRE(reply != nullptr);
    REQUIRE(reply->message_type() == fbs::Message::Welcome);
    return reply->message_as_Welcome();
  }

  bool request(const RawClient& client, std::uint64_t id, std::uint32_t cut,
               std::span<const float> tensors) const {
    return client.send(make_request({.request_id = id, .cut = cut}, tensors.size_bytes())) &&
           client.send(std::as_bytes(tensors));
  }

  [[nodiscard]] std::vector<float> boundary(std::uint32_t cut, unsigned seed) const {
    return random_floats(cuts()[cut].boundary_bytes / sizeof(float), seed);
  }

  // What an executor of our own makes of the same boundary tensors.
  [[nodiscard]] std::vector<float> expected(std::uint32_t cut,
                                            std::span<const float> tensors) const {
    auto executor = Executor::create(server.model().variants[0].weights, {});
    REQUIRE(executor.is_ok());
    REQUIRE((*executor)->prepare({cut, static_cast<OpIndex>(cuts().size() - 1)}, 1).is_ok());
    for (const BoundaryBuffer& input : (*executor)->inputs()) {
      std::memcpy(input.data, tensors.data(), input.elements * sizeof(float));
      tensors = tensors.subspan(input.elements);
    }
    REQUIRE((*executor)->run().is_ok());
    const BoundaryBuffer& scores = (*executor)->outputs()[0];
    return {scores.f32().begin(), scores.f32().end()};
  }
};

// Once no connection is left, each request that was received is in one of these.
inline std::uint64_t ends_of_requests(const server::ServerStats& stats) {
  return stats.answers + stats.request_errors + stats.busy + stats.cancelled + stats.unanswered;
}

inline std::vector<float> scores_of(const fbs::Answer& answer) {
  return {answer.scores()->begin(), answer.scores()->end()};
}

inline const fbs::Answer* receive_answer(RawClient& client) {
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  if (const fbs::Error* error = reply->message_as_Error()) FAIL(error->text()->str());
  REQUIRE(reply->message_type() == fbs::Message::Answer);
  return reply->message_as_Answer();
}

// Everything that the client sent was read by the server.
inline void await_pong(RawClient& client, std::uint64_t nonce = 7) {
  REQUIRE(client.send(make_ping(nonce)));
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Pong);
  CHECK(reply->message_as_Pong()->nonce() == nonce);
}

inline const fbs::Error* receive_error(RawClient& client) {
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Error);
  return reply->message_as_Error();
}

}  // namespace cleave::test
