// SPDX-License-Identifier: Apache-2.0
//
// What a server says to clients that speak right, and to those that do not.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "engine/image/picture.h"
#include "schemas/frame.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {

TEST_CASE("Welcome carries the server's own table of this model") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  REQUIRE(client.send(make_hello({.device = "test", .model_identity = fixture.identity()})));
  const fbs::Welcome* welcome = client.receive()->message_as_Welcome();
  REQUIRE(welcome != nullptr);
  CHECK(welcome->protocol_version() == kProtocolVersion);
  CHECK(welcome->max_inflight() == 4);
  REQUIRE(welcome->profile() != nullptr);
  const auto profile = profile_from_message(*welcome->profile());
  REQUIRE(profile.is_ok());
  CHECK(profile->model_identity == fixture.identity());
  CHECK(profile->variants.at(0).op_median_ns.size() == fixture.cuts().size() - 1);
  // What the golden frames hold still is what a server writes.
  const FrameBytes frame = make_welcome({.server = "cleave-server",
                                         .session_id = welcome->session_id(),
                                         .max_inflight = 4,
                                         .max_picture_bytes = welcome->max_picture_bytes(),
                                         .profile = &*profile});
  CHECK(std::ranges::equal(client.message(), std::span(frame).subspan(kFrameHeaderBytes)));
}

TEST_CASE("what decoding takes is told to agents that know of it") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  const fbs::Welcome* welcome = fixture.greet(client, kFeatureBoundaryCodecs | kFeatureCodecTimes);
  REQUIRE(welcome->profile() != nullptr);
  CHECK(welcome->profile()->format_version() == 4);
  const auto profile = profile_from_message(*welcome->profile());
  REQUIRE(profile.is_ok());
  const auto lossless = static_cast<std::uint8_t>(fbs::Codec::Lossless);
  const CodedBytes* coded =
      find_coded(*profile, profile->variants.at(0).variant, lossless, /*quality=*/0);
  REQUIRE(coded != nullptr);
  std::vector<std::uint32_t> inner;
  for (const Split& split : list_splits(fixture.server.model().file->header(), 0)) {
    inner.push_back(split.op_boundary);
  }
  inner.erase(inner.begin());
  inner.pop_back();
  CHECK(coded->op_boundary == inner);
  REQUIRE(coded->decode_ns.size() == inner.size());
  CHECK(std::ranges::all_of(coded->decode_ns, [](std::uint64_t ns) { return ns > 0; }));
  RawClient older(fixture.server.port());
  welcome = fixture.greet(older, kFeatureBoundaryCodecs);
  CHECK(welcome->profile()->format_version() == 1);
  CHECK(welcome->profile()->coded() == nullptr);
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
  REQUIRE(
      client.send(make_request({.request_id = 1, .codec = fbs::Codec::PixelsU8}, pixels.size())));
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
  REQUIRE(client.send(make_request({.request_id = 1, .codec = fbs::Codec::Jpeg}, garbage.size())));
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
    FrameBytes hello = make_hello({.device = "test", .model_identity = fixture.identity()});
    hello[4] = std::byte{99};
    REQUIRE(client.send(hello));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::VersionMismatch);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("another model") {
    RawClient client(fixture.server.port());
    ModelIdentity other = fixture.identity();
    other[0] ^= 1;
    REQUIRE(client.send(make_hello({.device = "test", .model_identity = other})));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::UnknownModel);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("a request before Hello") {
    RawClient client(fixture.server.port());
    REQUIRE(client.send(make_ping(1)));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("a request without an attachment") {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(client.send(make_request({.request_id = 1, .cut = 2}, 0)));
    const fbs::Error* error = receive_error(client);
    CHECK(error->code() == fbs::ErrorCode::Protocol);
    CHECK(error->text()->str() == "Request: without an attachment");
    CHECK(client.closed_within(5'000));
  }
  SUBCASE("an attachment where none may be") {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    FrameBytes ping = make_ping(1);
    ping[16] = std::byte{1};
    REQUIRE(client.send(ping));
    const fbs::Error* error = receive_error(client);
    CHECK(error->code() == fbs::ErrorCode::Protocol);
    CHECK(error->text()->str() == "Ping: with an attachment");
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

TEST_CASE("a request that does not fit the model is refused before anything is allocated or read") {
  Fixture fixture;
  const std::uint64_t right_bytes = fixture.cuts()[2].boundary_bytes;
  struct Wrong {
    std::uint32_t variant, cut;
    fbs::Codec codec;
    std::uint64_t bytes;
  };
  for (const Wrong& wrong :
       {Wrong{1, 2, fbs::Codec::Raw, right_bytes}, Wrong{0, 1000, fbs::Codec::Raw, right_bytes},
        Wrong{0, 2, fbs::Codec::Raw, right_bytes + 4}, Wrong{0, 0, fbs::Codec::PixelsU8, 1}}) {
    RawClient client(fixture.server.port());
    fixture.greet(client);
    REQUIRE(client.send(make_request(
        {.request_id = 5, .variant = wrong.variant, .cut = wrong.cut, .codec = wrong.codec},
        wrong.bytes)));
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
    REQUIRE(client.send(make_request({.request_id = 5, .cut = 2, .codec = fbs::Codec::Jpeg}, 100)));
    CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
    CHECK(client.closed_within(5'000));
  }
  // A frame that announces more than any request may carry is refused by its header.
  RawClient client(fixture.server.port());
  fixture.greet(client);
  REQUIRE(client.send(make_request({.request_id = 5, .cut = 2}, std::uint64_t{1} << 40)));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::Protocol);
  CHECK(client.closed_within(5'000));
  // Nor was anything set aside for any of them.
  CHECK(fixture.stats().peak_payload_bytes == 0);
  RawClient right(fixture.server.port());
  fixture.greet(right);
  REQUIRE(fixture.request(right, 6, 2, fixture.boundary(2, 1)));
  (void)receive_answer(right);
  CHECK(fixture.stats().peak_payload_bytes >= right_bytes);
}

}  // namespace cleave::test
