// SPDX-License-Identifier: Apache-2.0
//
// Pictures that come as a JPEG at model size.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "engine/image/jpeg_encoder.h"
#include "tests/server/session_fixture.h"

namespace cleave::test {
namespace {

using JpegBytes = std::vector<std::byte>;

constexpr std::uint64_t kJpegFeatures = kFeatureJpegModelSize | kFeatureResend;

// Blue first, and half of a picture cropped: a JPEG that were cropped again would be answered
// otherwise.
ModelBuilder jpeg_model() {
  ModelBuilder builder({48, 64, 3});
  const Tensor a = builder.conv2d(builder.input(), 4, WindowSpec{.window = 5, .stride = 4});
  builder.fully_connected(a, 5);
  builder.set_preprocessing(fbs::ColorOrder::BGR, {103.5F, 116.25F, 123.75F}, {57, 58, 59});
  builder.draft().preprocessing->crop = fbs::Crop::CenterSquare;
  builder.draft().preprocessing->crop_ppm = 500'000;
  return builder;
}

struct JpegFixture : Fixture {
  JpegFixture() : Fixture({}, jpeg_model()) {}

  [[nodiscard]] const fbs::Shape& shape() const { return server.model().variants[0].input_shape; }
  [[nodiscard]] const fbs::Preprocessing& preprocessing() const {
    return *server.model().file->header().preprocessing();
  }
  [[nodiscard]] std::vector<std::uint8_t> pixels(unsigned seed) const {
    std::vector<std::uint8_t> values(element_count(shape()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<std::uint8_t>(i / (seed + 2) + (i % 3) * 80);
    }
    return values;
  }
  [[nodiscard]] JpegBytes jpeg(unsigned seed, int quality = 90) const {
    JpegBytes file(element_count(shape()));
    const auto bytes = encode_jpeg_into(pixels(seed), shape(), fbs::ColorOrder::BGR, quality, file);
    REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
    file.resize(*bytes);
    return file;
  }
  // What the engine makes of the same JPEG, decoded at model size.
  [[nodiscard]] std::vector<float> expected_of(const JpegBytes& file) const {
    std::vector<std::uint8_t> decoded(element_count(shape()));
    REQUIRE(decode_at_model_size(file, preprocessing(), shape(), decoded).is_ok());
    std::vector<float> input(decoded.size());
    normalize(decoded, preprocessing(), shape().channels(), input);
    return expected(0, input);
  }
};

bool send_jpeg(const RawClient& client, std::uint64_t id, std::span<const std::byte> file,
               std::uint32_t cut = 0) {
  return client.send(make_request(
             {.request_id = id, .cut = cut, .codec = fbs::Codec::JpegModelSize}, file.size())) &&
         client.send(file);
}

// As encode_jpeg makes it, of any size.
JpegBytes other_jpeg(std::uint32_t width, std::uint32_t height) {
  const std::vector<std::uint8_t> rgb(std::size_t{width} * height * 3, 90);
  const auto file = encode_jpeg(rgb, width, height, 90);
  REQUIRE(file.is_ok());
  return *file;
}

}  // namespace

TEST_CASE("a JPEG at model size is answered as the engine answers it, not cropped once more") {
  const JpegFixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client, kJpegFeatures);
  std::uint64_t id = 0;
  for (const int quality : {40, 90, 100}) {
    CAPTURE(quality);
    const JpegBytes file = fixture.jpeg(3, quality);
    REQUIRE(send_jpeg(client, ++id, file));
    const fbs::Answer* answer = receive_answer(client);
    CHECK(answer->request_id() == id);
    CHECK(scores_of(*answer) == fixture.expected_of(file));
    CHECK(answer->decode_ns() > 0);
  }
  // The same bytes as a file are cropped and resized.
  const JpegBytes file = fixture.jpeg(3);
  REQUIRE(client.send(make_request({.request_id = ++id, .codec = fbs::Codec::Jpeg}, file.size())));
  REQUIRE(client.send(file));
  CHECK(scores_of(*receive_answer(client)) != fixture.expected_of(file));
}

TEST_CASE("resent, it is answered from memory; another one under its id is refused") {
  const JpegFixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client, kJpegFeatures);
  const JpegBytes file = fixture.jpeg(3);
  REQUIRE(send_jpeg(client, 7, file));
  CHECK_FALSE(receive_answer(client)->repeated());
  REQUIRE(send_jpeg(client, 7, file));
  const fbs::Answer* answer = receive_answer(client);
  CHECK(answer->repeated());
  CHECK(scores_of(*answer) == fixture.expected_of(file));
  REQUIRE(send_jpeg(client, 7, fixture.jpeg(3, 50)));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadRequest);
}

TEST_CASE("one that is damaged, or of another size, is that picture's fault alone") {
  JpegFixture fixture;
  RawClient client(fixture.server.port());
  fixture.greet(client, kJpegFeatures);
  const fbs::Shape& shape = fixture.shape();
  JpegBytes cut_short = fixture.jpeg(5);
  cut_short.resize(cut_short.size() / 2);
  JpegBytes spoilt = fixture.jpeg(5);
  std::fill_n(spoilt.begin(), 4, std::byte{0});
  std::uint64_t id = 0;
  for (const JpegBytes& file : {cut_short, spoilt, JpegBytes{std::byte{0xFF}},
                                other_jpeg(shape.width() + 1, shape.height()),
                                other_jpeg(shape.width(), shape.height() - 1),
                                other_jpeg(shape.height(), shape.width()), other_jpeg(8, 8)}) {
    CAPTURE(id);
    REQUIRE(send_jpeg(client, ++id, file));
    const fbs::Error* error = receive_error(client);
    CHECK(error->code() == fbs::ErrorCode::BadPicture);
    CHECK(error->request_id() == id);
  }
  const JpegBytes good = fixture.jpeg(6);
  REQUIRE(send_jpeg(client, ++id, good));
  CHECK(scores_of(*receive_answer(client)) == fixture.expected_of(good));
  CHECK(fixture.stats().bad_pictures == 7);
}

TEST_CASE("one that is too long, at another cut, or that was not agreed on is refused unread") {
  JpegFixture fixture;
  const std::uint64_t most = element_count(fixture.shape());
  const auto refused = [&](std::uint64_t features, std::uint32_t cut, std::uint64_t bytes) {
    RawClient client(fixture.server.port());
    fixture.greet(client, features);
    REQUIRE(client.send(
        make_request({.request_id = 9, .cut = cut, .codec = fbs::Codec::JpegModelSize}, bytes)));
    const fbs::Error* error = receive_error(client);
    const fbs::ErrorCode code = error->code();
    CHECK(client.closed_within(5'000));
    return code;
  };
  CHECK(refused(kJpegFeatures, 0, most + 1) == fbs::ErrorCode::BadRequest);
  CHECK(refused(kFeatureResend | kFeatureBoundaryCodecs, 0, 500) == fbs::ErrorCode::BadRequest);
  CHECK(refused(0, 0, 500) == fbs::ErrorCode::BadRequest);
  CHECK(refused(kJpegFeatures, 1, 500) == fbs::ErrorCode::Protocol);
  // As many bytes as the pixels may come.
  RawClient client(fixture.server.port());
  fixture.greet(client, kJpegFeatures);
  REQUIRE(send_jpeg(client, 1, JpegBytes(most, std::byte{7})));
  CHECK(receive_error(client)->code() == fbs::ErrorCode::BadPicture);
}

TEST_CASE("of a model whose input is no picture there is none") {
  ModelBuilder model = jpeg_model();
  model.draft().preprocessing->color_order = fbs::ColorOrder::None;
  const Fixture fixture({}, std::move(model));
  RawClient client(fixture.server.port());
  fixture.greet(client, kJpegFeatures);
  REQUIRE(client.send(make_request({.request_id = 1, .codec = fbs::Codec::JpegModelSize}, 500)));
  const fbs::Error* error = receive_error(client);
  CHECK(error->code() == fbs::ErrorCode::BadRequest);
  CHECK(error->text()->str().find("no picture") != std::string::npos);
}

TEST_CASE("its decoding time is told to agents that know of it") {
  const JpegFixture fixture;
  const auto jpeg_ns = [&](std::uint64_t features) -> std::uint64_t {
    RawClient client(fixture.server.port());
    const fbs::Welcome* welcome = fixture.greet(client, features);
    const auto profile = profile_from_message(*welcome->profile());
    REQUIRE(profile.is_ok());
    const CodedBytes* coded =
        find_coded(*profile, profile->variants.at(0).variant,
                   static_cast<std::uint8_t>(fbs::Codec::JpegModelSize), /*quality=*/0);
    if (coded == nullptr) return 0;
    CHECK(coded->op_boundary == std::vector<std::uint32_t>{0});
    REQUIRE(coded->decode_ns.size() == 1);
    return coded->decode_ns[0];
  };
  CHECK(jpeg_ns(kFeatureJpegModelSize | kFeatureCodecTimes) > 0);
  CHECK(jpeg_ns(kFeatureCodecTimes) > 0);  // who does not know it looks past it
  CHECK(jpeg_ns(kFeatureJpegModelSize) == 0);
}

}  // namespace cleave::test
