// SPDX-License-Identifier: Apache-2.0
//
// What a server meets on an open port: scanners, captures that were cut short, spoiled or replayed.
// Each connection ends, and an agent is answered afterwards.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "schemas/protocol.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

using Bytes = std::vector<std::byte>;

// No limits on an address that asks a thousand times, and no waiting for who is silent.
void adjust(server::ServerOptions& options) {
  options.address = {.connections_per_second = 0, .max_handshakes = 0, .max_connections = 0};
  options.handshake_timeout = options.stall_timeout = milliseconds(2'000);
}

void append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// All that an agent says in a session: two requests with other messages between them.
Bytes capture(const Fixture& fixture, std::uint64_t features) {
  Bytes bytes;
  append(bytes, make_hello({.device = "captured",
                            .model_identity = fixture.identity(),
                            .lowest_version = 2,
                            .features = features}));
  for (const std::uint64_t id : {1, 2}) {
    const std::vector<float> tensors = fixture.boundary(12, static_cast<unsigned>(id));
    const auto attachment = std::as_bytes(std::span(tensors));
    append(bytes, make_request({.request_id = id, .cut = 12}, attachment.size()));
    append(bytes, attachment);
    append(bytes, make_ping(id));
    append(bytes, make_cancel(9));
  }
  append(bytes, make_goodbye("done"));
  return bytes;
}

// What the server says until it closes.
Bytes answer_to(const Fixture& fixture, std::span<const std::byte> bytes) {
  RawClient client(fixture.server.port());
  (void)client.send(bytes);
  client.end_sending();
  const auto answer = client.receive_to_end();
  REQUIRE_MESSAGE(answer.has_value(), "the server did not close");
  return *answer;
}

// The types of the messages in `stream`.
std::vector<fbs::Message> messages_in(std::span<const std::byte> stream) {
  std::vector<fbs::Message> types;
  while (!stream.empty()) {
    REQUIRE(stream.size() > kFrameHeaderBytes);
    const auto header = decode_frame_header(stream.first<kFrameHeaderBytes>(), {});
    REQUIRE(header.is_ok());
    REQUIRE(stream.size() >= kFrameHeaderBytes + header->message_bytes);
    const auto text = stream.subspan(kFrameHeaderBytes, header->message_bytes);
    const Bytes message(text.begin(), text.end());
    const auto envelope = parse_message(message);
    REQUIRE(envelope.is_ok());
    types.push_back((*envelope)->message_type());
    stream = stream.subspan(kFrameHeaderBytes + header->message_bytes);
  }
  return types;
}

std::size_t count(const std::vector<fbs::Message>& types, fbs::Message type) {
  return static_cast<std::size_t>(std::ranges::count(types, type));
}

void check_still_serves(const Fixture& fixture) {
  RawClient agent(fixture.server.port());
  fixture.greet(agent, 0, "agent");
  const std::vector<float> tensors = fixture.boundary(1, 9);
  REQUIRE(fixture.request(agent, 1, 1, tensors));
  CHECK(scores_of(*receive_answer(agent)) == fixture.expected(1, tensors));
}

}  // namespace

TEST_CASE("port scanners and other protocols are told so, or closed") {
  Fixture fixture(adjust);
  const std::vector<std::string> probes = {
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) +
          std::string(200, 'r'),  // TLS
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "OPTIONS * RTSP/1.0\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      std::string("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
                  19),                                                                      // RDP
      std::string("\x00\x00\x00\x2f\xff\x53\x4d\x42\x72\x00\x00\x00\x00\x08\x01\x40", 16),  // SMB
      std::string("\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03"
                  "abc",
                  17),  // MQTT
      "\r\n\r\n",
      "HELP\r\n",
      std::string(24, '\0'),
      std::string(100'000, '\xff'),
      "CLVF",
      ""};
  std::size_t refused = 0;
  for (const std::string& probe : probes) {
    CAPTURE(probe.substr(0, 20));
    const Bytes answer = answer_to(fixture, std::as_bytes(std::span(probe)));
    // What is shorter than a header is no frame yet.
    if (!answer.empty()) {
      CHECK(messages_in(answer) == std::vector{fbs::Message::Error});
      ++refused;
    }
  }
  CHECK(refused >= 3);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    Bytes noise(random() % 300);
    for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
    if (i % 3 == 0) append(noise, make_ping(1));
    (void)answer_to(fixture, noise);
  }
  check_still_serves(fixture);
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.protocol_errors >= refused);
  CHECK(stats.requests == 1);
}

TEST_CASE("a capture that ends anywhere ends its session, and nothing else") {
  Fixture fixture(adjust);
  const Bytes whole = capture(fixture, 0);
  const auto types = messages_in(answer_to(fixture, whole));
  CHECK(count(types, fbs::Message::Welcome) == 1);
  CHECK(count(types, fbs::Message::Pong) == 2);
  CHECK(count(types, fbs::Message::Answer) == 2);
  for (std::size_t length = 0; length < whole.size(); length += 1 + length % 3) {
    CAPTURE(length);
    const auto some = messages_in(answer_to(fixture, std::span(whole).first(length)));
    CHECK(count(some, fbs::Message::Error) == 0);
    CHECK(some.size() <= types.size());
  }
  check_still_serves(fixture);
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.unanswered > 0);
  CHECK(ends_of_requests(stats) == stats.requests);
}

TEST_CASE("a capture with any byte spoiled is answered with frames, or closed") {
  Fixture fixture(adjust);
  const Bytes whole = capture(fixture, kFeatureResend | kFeatureCancel);
  std::mt19937 random(2);
  for (std::size_t at = 0; at < whole.size(); at += 1 + random() % 3) {
    CAPTURE(at);
    Bytes spoiled = whole;
    spoiled[at] ^= static_cast<std::byte>(1 + random() % 255);
    (void)messages_in(answer_to(fixture, spoiled));
  }
  check_still_serves(fixture);
  const server::ServerStats stats = fixture.server.stop();
  CHECK(stats.request_errors > 0);
  CHECK(ends_of_requests(stats) == stats.requests);
}

TEST_CASE(
    "a capture that is replayed gets the same answers, from memory where that was agreed on") {
  Fixture fixture(adjust);
  for (const std::uint64_t features : {std::uint64_t{0}, kFeatureResend}) {
    const Bytes whole = capture(fixture, features);
    for (int i = 0; i < 3; ++i) {
      const auto types = messages_in(answer_to(fixture, whole));
      CHECK(count(types, fbs::Message::Answer) == 2);
      CHECK(count(types, fbs::Message::Error) == 0);
    }
  }
  // On the same connection it starts with a second Hello.
  Bytes twice = capture(fixture, 0);
  const FrameBytes goodbye = make_goodbye("done");
  twice.resize(twice.size() - goodbye.size());
  append(twice, capture(fixture, 0));
  const auto types = messages_in(answer_to(fixture, twice));
  CHECK(count(types, fbs::Message::Welcome) == 1);
  CHECK(count(types, fbs::Message::Error) == 1);
  check_still_serves(fixture);
  const server::ServerStats stats = fixture.stats();
  CHECK(stats.answers_repeated == 4);
  CHECK(stats.protocol_errors == 1);
}

}  // namespace cleave::test
