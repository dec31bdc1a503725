// SPDX-License-Identifier: Apache-2.0
//
// What a server does with every kind of client: right, wrong, silent, slow and hostile.
#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "engine/executor.h"
#include "schemas/frame.h"
#include "tests/server/raw_client.h"
#include "tests/server/server_thread.h"
#include "tests/support/sample_models.h"

namespace cleave::test {
namespace {

using std::chrono::milliseconds;

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 2000) / 1000.0F - 1.0F;
  return values;
}

struct Fixture {
  explicit Fixture(const std::function<void(server::ServerOptions&)>& adjust = {})
      : server(all_ops_model().build(), adjust) {}

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
    return client.send(make_request(id, 0, cut, fbs::Codec::RawF32, 0, tensors.size_bytes())) &&
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
    return {scores.data, scores.data + scores.elements};
  }
};

const fbs::Error* receive_error(RawClient& client) {
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->message_type() == fbs::Message::Error);
  return reply->message_as_Error();
}

}  // namespace

TEST_CASE("Welcome carries the server's own table of this model") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  REQUIRE(client.send(make_hello("test", fixture.identity())));
  const fbs::Welcome* welcome = client.receive()->message_as_Welcome();
  REQUIRE(welcome != nullptr);
  CHECK(welcome->protocol_version() == kProtocolVersion);
  CHECK(welcome->max_inflight() == 4);
  REQUIRE(welcome->profile() != nullptr);
  const auto profile = profile_from_message(*welcome->profile());
  REQUIRE(profile.is_ok());
  CHECK(profile->model_identity == fixture.identity());
  CHECK(profile->variants.at(0).op_median_ns.size() == fixture.cuts().size() - 1);
}

TEST_CASE("every cut is answered with the executor's own bytes") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  for (std::uint32_t cut = 0; cut < fixture.cuts().size(); ++cut) {
    CAPTURE(cut);
    const std::vector<float> tensors = fixture.boundary(cut, cut + 1);
    REQUIRE(fixture.request(client, 100 + cut, cut, tensors));
    const fbs::Envelope* reply = client.receive();
    REQUIRE(reply != nullptr);
    const fbs::Answer* answer = reply->message_as_Answer();
    REQUIRE(answer != nullptr);
    CHECK(answer->request_id() == 100 + cut);
    CHECK(std::vector<float>(answer->scores()->begin(), answer->scores()->end()) ==
          fixture.expected(cut, tensors));
    CHECK(answer->residence_ns() >=
          answer->queue_ns() + answer->decode_ns() + answer->compute_ns());
  }
}

TEST_CASE("pixels are normalized as the device would") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const fbs::Shape shape = fixture.server.model().variants[0].input_shape;
  std::vector<std::uint8_t> pixels(element_count(shape));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37);
  REQUIRE(client.send(make_request(1, 0, 0, fbs::Codec::PixelsU8, 0, pixels.size())));
  REQUIRE(client.send(std::as_bytes(std::span(pixels))));
  const fbs::Answer* answer = client.receive()->message_as_Answer();
  REQUIRE(answer != nullptr);
  std::vector<float> input(pixels.size());
  normalize(pixels, *fixture.server.model().file->header().preprocessing(), shape.channels(),
            input);
  CHECK(std::vector<float>(answer->scores()->begin(), answer->scores()->end()) ==
        fixture.expected(0, input));
}

TEST_CASE("bytes that are no picture are the picture's fault; the session goes on") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const std::string garbage(1000, 'x');
  REQUIRE(client.send(make_request(1, 0, 0, fbs::Codec::Jpeg, 0, garbage.size())));
  REQUIRE(client.send_text(garbage));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadPicture);
  REQUIRE(client.send(make_ping(7)));
  CHECK(client.receive()->message_as_Pong()->nonce() == 7);
}

TEST_CASE("a client that does not speak the protocol is told so and closed") {
  Fixture fixture;
  SUBCASE("garbage") {
    RawClient client(fixture.server.port());
    REQUIRE(client.send_text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("another version") {
    RawClient client(fixture.server.port());
    FrameBytes hello = make_hello("test", fixture.identity());
    hello[4] = std::byte{99};
    REQUIRE(client.send(hello));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::VersionMismatch);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("another model") {
    RawClient client(fixture.server.port());
    ModelIdentity other = fixture.identity();
    other[0] ^= 1;
    REQUIRE(client.send(make_hello("test", other)));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::UnknownModel);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("a request before Hello") {
    RawClient client(fixture.server.port());
    REQUIRE(client.send(make_ping(1)));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("a message that only a server sends") {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(client.send(make_answer(1, std::vector<float>{1.0F}, {})));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
}

TEST_CASE("a request that does not fit the model is refused before its bytes are read") {
  Fixture fixture;
  const std::uint64_t right_bytes = fixture.cuts()[2].boundary_bytes;
  struct Wrong {
    std::uint32_t variant, cut;
    fbs::Codec codec;
    std::uint64_t bytes;
  };
  for (const Wrong& wrong :
       {Wrong{1, 2, fbs::Codec::RawF32, right_bytes},
        Wrong{0, 1000, fbs::Codec::RawF32, right_bytes},
        Wrong{0, 2, fbs::Codec::RawF32, right_bytes + 4}, Wrong{0, 2, fbs::Codec::RawF32, 0},
        Wrong{0, 0, fbs::Codec::PixelsU8, 1}}) {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(client.send(make_request(5, wrong.variant, wrong.cut, wrong.codec, 0, wrong.bytes)));
    const fbs::Error* error = receive_error(client);
    CAPTURE(error->text()->str());
    CHECK(error->code() == fbs::ErrorCode::BadRequest);
    CHECK(error->request_id() == 5);
    CHECK(client.closed_within(5'000));
  }
  // Of a picture at another cut than 0 no model can make sense: refused as a message.
  {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(client.send(make_request(5, 0, 2, fbs::Codec::Jpeg, 0, 100)));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
  // A frame that announces more than any request may carry is refused by its header.
  RawClient client(fixture.server.port());
  fixture.greet(client);
  REQUIRE(client.send(make_request(5, 0, 2, fbs::Codec::RawF32, 0, std::uint64_t{1} << 40)));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
  CHECK(client.closed_within(5'000));
}

TEST_CASE("silent and stalled clients are closed in time") {
  Fixture fixture([](server::ServerOptions& options) {
    options.handshake_timeout = milliseconds(150);
    options.idle_timeout = milliseconds(300);
    options.stall_timeout = milliseconds(150);
  });
  RawClient silent(fixture.server.port());
  CHECK(silent.closed_within(3'000));

  RawClient idle(fixture.server.port());
  fixture.greet(idle);
  CHECK(idle.closed_within(3'000));

  RawClient stalled(fixture.server.port());
  fixture.greet(stalled);
  REQUIRE(
      stalled.send(make_request(1, 0, 2, fbs::Codec::RawF32, 0, fixture.cuts()[2].boundary_bytes)));
  CHECK(stalled.closed_within(3'000));
}

TEST_CASE("a handshake fed byte by byte ends at its deadline all the same") {
  Fixture fixture(
      [](server::ServerOptions& options) { options.handshake_timeout = milliseconds(300); });
  RawClient slow(fixture.server.port());
  const FrameBytes hello = make_hello("slow", fixture.identity());
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

TEST_CASE("a request whose time is used up is not computed") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const std::vector<float> tensors = fixture.boundary(1, 1);
  REQUIRE(client.send(make_request(9, 0, 1, fbs::Codec::RawF32, 1, tensors.size() * 4)));
  REQUIRE(client.send(std::as_bytes(std::span(tensors))));
  const fbs::Error* error = receive_error(client);
  CHECK(error->code() == fbs::ErrorCode::DeadlineExceeded);
  CHECK(error->request_id() == 9);
}

TEST_CASE("shutdown: Goodbye, what is under way is answered, new requests are refused") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client);
  fixture.server.begin_shutdown();
  const fbs::Envelope* reply = client.receive();
  REQUIRE(reply != nullptr);
  CHECK(reply->message_type() == fbs::Message::Goodbye);
  CHECK(client.closed_within(5'000));
  const server::ServerStats& stats = fixture.server.stop();
  CHECK(stats.connections == 1);
}

TEST_CASE("more connections than allowed are closed at once") {
  Fixture fixture([](server::ServerOptions& options) { options.max_connections = 1; });
  RawClient first(fixture.server.port());
  fixture.greet(first);
  RawClient second(fixture.server.port());
  CHECK(second.closed_within(5'000));
}

}  // namespace cleave::test
