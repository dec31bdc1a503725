// SPDX-License-Identifier: Apache-2.0
//
// Boundary tensors that come encoded.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "engine/codec/boundary_codec.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

using fbs::Codec;
using Bytes = std::vector<std::byte>;

// An agent's side of one cut and codec.
struct Encoder {
  Encoder(const Fixture& fixture, std::uint32_t cut, CodecChoice choice) {
    const server::LoadedModel& model = fixture.server.model();
    auto made = BoundaryCodec::create(*model.file, 0, cut, choice);
    REQUIRE(made.is_ok());
    codec = std::move(made).value();
    const fbs::Variant& variant = *model.file->header().variants()->Get(0);
    for (const TensorId id : fixture.cuts()[cut].boundary_tensors) {
      sizes.push_back(tensor_bytes(*variant.tensors()->Get(id)) / sizeof(float));
    }
  }

  [[nodiscard]] Bytes encode(std::span<const float> values) const {
    std::vector<std::span<const std::byte>> tensors;
    for (const std::size_t size : sizes) {
      tensors.push_back(std::as_bytes(values.first(size)));
      values = values.subspan(size);
    }
    Bytes out(codec->max_encoded_bytes());
    out.resize(codec->encode(tensors, out));
    return out;
  }

  [[nodiscard]] std::vector<float> decode(std::span<const std::byte> bytes,
                                          std::size_t count) const {
    std::vector<float> values(count);
    std::vector<std::span<std::byte>> tensors;
    std::span<float> rest(values);
    for (const std::size_t size : sizes) {
      tensors.push_back(std::as_writable_bytes(rest.first(size)));
      rest = rest.subspan(size);
    }
    REQUIRE(codec->decode(bytes, tensors).is_ok());
    return values;
  }

  std::unique_ptr<BoundaryCodec> codec;
  std::vector<std::size_t> sizes;
};

bool request(const RawClient& client, std::uint64_t id, std::uint32_t cut, Codec codec,
             std::span<const std::byte> attachment) {
  return client.send(
             make_request({.request_id = id, .cut = cut, .codec = codec}, attachment.size())) &&
         client.send(attachment);
}

}  // namespace

TEST_CASE("what comes encoded is answered as what it decodes to") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client, kFeatureBoundaryCodecs);
  std::uint64_t id = 0;
  for (std::uint32_t cut = 0; cut < fixture.cuts().size(); ++cut) {
    for (const Codec codec : {Codec::Lossless, Codec::F16, Codec::Int8}) {
      CAPTURE(cut);
      CAPTURE(static_cast<int>(codec));
      const Encoder encoder(fixture, cut, {.codec = codec});
      const std::vector<float> sent = fixture.boundary(cut, cut + 1);
      const Bytes attachment = encoder.encode(sent);
      const std::vector<float> arrived = encoder.decode(attachment, sent.size());
      CHECK((codec == Codec::Lossless) == (arrived == sent));
      REQUIRE(request(client, ++id, cut, codec, attachment));
      const fbs::Envelope* reply = client.receive();
      REQUIRE(reply != nullptr);
      const fbs::Answer* answer = reply->message_as_Answer();
      REQUIRE(answer != nullptr);
      CHECK(answer->request_id() == id);
      CHECK(std::vector<float>(answer->scores()->begin(), answer->scores()->end()) ==
            fixture.expected(cut, arrived));
      CHECK(answer->decode_ns() > 0);
    }
  }
}

TEST_CASE("an attachment that does not decode is that request's fault alone") {
  Fixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client, kFeatureBoundaryCodecs);
  const Encoder encoder(fixture, 2, {.codec = Codec::Int8});
  Bytes attachment = encoder.encode(fixture.boundary(2, 1));
  std::fill_n(attachment.begin(), 2, std::byte{0xFF});  // no step
  REQUIRE(request(client, 1, 2, Codec::Int8, attachment));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadPicture);
  attachment.pop_back();  // shorter than an int8 stream is, but not longer than it may be
  REQUIRE(request(client, 2, 2, Codec::Int8, attachment));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadPicture);
  REQUIRE(request(client, 3, 2, Codec::Lossless, Bytes{std::byte{1}, std::byte{9}}));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadPicture);
  const std::vector<float> good = fixture.boundary(2, 5);
  REQUIRE(fixture.request(client, 4, 2, good));
  const fbs::Answer* answer = client.receive()->message_as_Answer();
  REQUIRE(answer != nullptr);
  CHECK(std::vector<float>(answer->scores()->begin(), answer->scores()->end()) ==
        fixture.expected(2, good));
}

TEST_CASE("a codec that the cut does not have, or more bytes than it writes, is refused unread") {
  Fixture fixture;
  const std::uint64_t raw = fixture.cuts()[2].boundary_bytes;
  struct Wrong {
    Codec codec;
    std::uint8_t quality;
    std::uint64_t bytes;
  };
  for (const Wrong& wrong : {Wrong{Codec::Lossless, 0, raw + 65}, Wrong{Codec::F16, 0, raw / 2 + 1},
                             Wrong{Codec::Int8, 0, raw}, Wrong{Codec::Coded, 0, 8}}) {
    RawClient client(fixture.server.port());
    fixture.greet(client, kFeatureBoundaryCodecs);
    REQUIRE(client.send(make_request(
        {.request_id = 5, .cut = 2, .codec = wrong.codec, .quality = wrong.quality}, wrong.bytes)));
    const fbs::Error* error = receive_error(client);
    CAPTURE(error->text()->str());
    CHECK(error->code() == fbs::ErrorCode::BadRequest);
    CHECK(error->request_id() == 5);
    CHECK(client.closed_within(5'000));
  }
}

TEST_CASE("coded bytes and the tensors they become count against the payload budget") {
  Fixture fixture;
  {
    RawClient client(fixture.server.port());
    fixture.greet(client, kFeatureBoundaryCodecs);
    const Encoder encoder(fixture, 2, {.codec = Codec::F16});
    REQUIRE(request(client, 1, 2, Codec::F16, encoder.encode(fixture.boundary(2, 1))));
    REQUIRE(client.receive()->message_as_Answer() != nullptr);
  }
  const std::uint64_t raw = fixture.cuts()[2].boundary_bytes;
  CHECK(fixture.stats().peak_payload_bytes >= raw + raw / 2);
}

}  // namespace cleave::test
