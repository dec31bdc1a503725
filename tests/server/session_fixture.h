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
  [[nodiscard]] const std::vector<Cut>& cuts() const { return server.model().variants[0].cuts; }

  // Connects and shakes hands.
  void greet(RawClient& client) const {
    REQUIRE(client.send(make_hello("test", identity())));
    const fbs::Envelope* reply = client.receive();
    REQUIRE(reply != nullptr);
    REQUIRE(reply->message_type() == fbs::Message::Welcome);
  }

  bool request(const RawClient& client, std::uint64_t id, std::uint32_t cut,
               std::span<const float> tensors) const {
    return client.send(make_request(id, 0, cut, fbs::Codec::Raw, 0, tensors.size_bytes())) &&
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

inline const fbs::Error* receive_error(RawClient& client) {
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Error);
  return reply->message_as_Error();
}

}  // namespace cleave::test
