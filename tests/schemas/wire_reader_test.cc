// SPDX-License-Identifier: Apache-2.0
#include "schemas/wire_reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "schemas/frame.h"
#include "tests/support/sample_frames.h"

namespace cleave {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// The message of a frame that make_ or finish_frame() gave, parsed as a peer would.
Result<const fbs::Envelope*> parse(const FrameBytes& frame) {
  const auto header = decode_frame_header(
      std::span(frame).first<kFrameHeaderBytes>(),
      FrameLimits{.max_attachment_bytes = std::numeric_limits<std::uint64_t>::max()});
  if (!header.is_ok()) return header.status();
  REQUIRE(frame.size() == kFrameHeaderBytes + header->message_bytes);
  return parse_message(std::span(frame).subspan(kFrameHeaderBytes));
}

void check_refused(const FrameBytes& frame, const std::string& expected) {
  const Status status = parse(frame).status();
  CAPTURE(expected);
  CAPTURE(status.message());
  CHECK(status.code() == StatusCode::kCorrupt);
  CHECK(status.message().find(expected) != std::string::npos);
}

TEST_CASE("every message comes back as it was made") {
  const FrameBytes hello = make_hello({.device = "cam", .model_identity = test::sample_identity()});
  CHECK((*parse(hello))->message_as_Hello()->device()->str() == "cam");
  CHECK((*parse(hello))->message_as_Hello()->protocol_version() == kProtocolVersion);
  CHECK((*parse(hello))->message_as_Hello()->model_identity()->Get(31) == 31);

  const FrameBytes request =
      make_request({.request_id = 7, .variant = 1, .cut = 12, .remaining_ns = 250'000'000},
                   std::uint64_t{1} << 40);
  const fbs::Request& parsed = *(*parse(request))->message_as_Request();
  CHECK(parsed.request_id() == 7);
  CHECK(parsed.variant() == 1);
  CHECK(parsed.cut() == 12);
  CHECK(parsed.remaining_ns() == 250'000'000);

  const std::array<float, 3> scores = {1.0f, -0.0f, std::numeric_limits<float>::infinity()};
  const FrameBytes answer =
      make_answer(7, scores, {.residence_ns = 4, .queue_ns = 3, .decode_ns = 2, .compute_ns = 1});
  const fbs::Answer& back = *(*parse(answer))->message_as_Answer();
  CHECK(std::equal(scores.begin(), scores.end(), back.scores()->begin(), back.scores()->end()));
  CHECK(back.residence_ns() == 4);
  CHECK(back.compute_ns() == 1);

  const FrameBytes error = make_error(7, fbs::ErrorCode::Busy, "later", 20);
  CHECK((*parse(error))->message_as_Error()->code() == fbs::ErrorCode::Busy);
  CHECK((*parse(error))->message_as_Error()->retry_after_ms() == 20);
  CHECK((*parse(make_ping(3)))->message_as_Ping()->nonce() == 3);
  CHECK((*parse(make_pong(4)))->message_as_Pong()->nonce() == 4);
  CHECK((*parse(make_goodbye("done")))->message_as_Goodbye()->reason()->str() == "done");
}

TEST_CASE("what version 2 added comes back as it was made, and is checked") {
  const Sha256Digest identity = test::sample_identity();
  const FrameBytes full = make_hello({.device = "cam",
                                      .model_identity = identity,
                                      .lowest_version = 2,
                                      .features = 5,
                                      .token = "secret"});
  const fbs::Hello& hello = *(*parse(full))->message_as_Hello();
  CHECK(hello.lowest_version() == 2);
  CHECK(hello.features() == 5);
  CHECK(hello.token()->str() == "secret");
  check_refused(make_hello({.device = "cam", .model_identity = identity, .lowest_version = 3}),
                "lowest_version is above protocol_version");

  const FrameBytes welcomed = make_welcome(
      {.server = "s", .features = 1, .heartbeat_ms = 5'000, .current_model = identity});
  const fbs::Welcome& welcome = *(*parse(welcomed))->message_as_Welcome();
  CHECK(welcome.features() == 1);
  CHECK(welcome.heartbeat_ms() == 5'000);
  CHECK(welcome.current_model()->Get(31) == 31);
  check_refused(make_welcome({.server = "s", .current_model = std::span(identity).first(31)}),
                "current_model is not 32 bytes");

  const FrameBytes coded =
      make_request({.request_id = 1, .codec = fbs::Codec::Coded, .quality = 3}, 9);
  CHECK((*parse(coded))->message_as_Request()->quality() == 3);
  check_refused(make_request({.request_id = 1, .quality = 3}, 9), "a codec that has none");
  CHECK((*parse(make_cancel(4)))->message_as_Cancel()->request_id() == 4);
  check_refused(make_cancel(0), "request_id is 0");
  CHECK((*parse(make_answer(1, std::array{1.0f}, {}, true)))->message_as_Answer()->repeated());

  const FrameBytes fetching =
      make_fetch({.fetch_id = 2, .sha256 = identity, .offset = 77, .bytes = kMaxPieceBytes});
  const fbs::Fetch& fetch = *(*parse(fetching))->message_as_Fetch();
  CHECK(fetch.sha256()->Get(31) == 31);
  CHECK(fetch.offset() == 77);
  CHECK(fetch.bytes() == kMaxPieceBytes);
  check_refused(make_fetch({.fetch_id = 0, .sha256 = identity, .bytes = 1}), "fetch_id is 0");
  check_refused(make_fetch({.fetch_id = 1, .sha256 = identity, .bytes = 0}), "0 bytes");
  check_refused(make_fetch({.fetch_id = 1, .sha256 = identity, .bytes = kMaxPieceBytes + 1}),
                "262145 bytes");
  CHECK((*parse(make_piece(2, 1'000, 9)))->message_as_Piece()->total_bytes() == 1'000);
  check_refused(make_piece(0, 1'000, 9), "fetch_id is 0");
}

TEST_CASE("a welcome carries the server's profile") {
  const ProfileData profile = test::sample_profile();
  const FrameBytes frame = make_welcome({.server = "s",
                                         .session_id = 5,
                                         .max_inflight = 2,
                                         .max_picture_bytes = 9,
                                         .profile = &profile});
  const auto envelope = parse(frame);
  REQUIRE_MESSAGE(envelope.is_ok(), envelope.status().message());
  const fbs::Welcome& welcome = *(*envelope)->message_as_Welcome();
  CHECK(welcome.max_inflight() == 2);
  CHECK(*profile_from_message(*welcome.profile()) == profile);
}

TEST_CASE("the largest welcome that is allowed is read, and one op more is not") {
  ProfileData profile = test::sample_profile();
  profile.processor = std::string(kMaxTextBytes, 'p');
  const std::vector<std::uint64_t> times(kMaxProfileOps, kMaxProfileNs);
  profile.variants.assign(kMaxProfileVariants, {.variant = std::string(kMaxTextBytes, 'v'),
                                                .threads = 1,
                                                .runs = 1,
                                                .op_median_ns = times,
                                                .op_p95_ns = times});
  for (std::uint32_t i = 0; i < profile.variants.size(); ++i) profile.variants[i].threads = i + 1;
  const std::string server(kMaxTextBytes, 's');
  const WelcomeFields fields{.server = server,
                             .session_id = ~0ull,
                             .max_inflight = ~0u,
                             .max_picture_bytes = ~0ull,
                             .profile = &profile};
  const FrameBytes frame = make_welcome(fields);
  const auto envelope = parse(frame);
  REQUIRE_MESSAGE(envelope.is_ok(), envelope.status().message());
  CHECK(*profile_from_message(*(*envelope)->message_as_Welcome()->profile()) == profile);
  CHECK(frame.size() > 1u << 20);

  profile.variants[0].op_median_ns.push_back(1);
  profile.variants[0].op_p95_ns.push_back(1);
  check_refused(make_welcome(fields), "1..4096 medians");
}

TEST_CASE("the largest message of an agent is within what a server reads") {
  const std::string text(kMaxTextBytes, 'x');
  const FrameBytes hello = make_hello({.device = text,
                                       .model_identity = test::sample_identity(),
                                       .token = text,
                                       .model_name = text});
  for (const FrameBytes& frame : {hello, make_goodbye(text)}) {
    const auto bytes = std::span(frame).first<kFrameHeaderBytes>();
    CHECK(decode_frame_header(bytes, {.max_message_bytes = kMaxMessageToServerBytes}).is_ok());
  }
}

TEST_CASE("texts are clean when they are made, and refused when they are not") {
  const FrameBytes long_error =
      make_error(1, fbs::ErrorCode::Internal, "\x1b[31m" + std::string(5000, 'x'));
  const auto envelope = parse(long_error);
  REQUIRE(envelope.is_ok());
  const auto* text = (*envelope)->message_as_Error()->text();
  CHECK(text->size() == kMaxTextBytes);
  CHECK(text->str().substr(0, 5) == "?[31m");

  FlatBufferBuilder builder;
  const auto words = builder.CreateString("\x1b[31m");
  const auto error = fbs::CreateError(builder, 1, fbs::ErrorCode::Busy, words);
  check_refused(finish_frame(builder, fbs::Message::Error, error.Union()),
                "Error: text: text has a control character");
}

TEST_CASE("a hello with an identity of another length") {
  for (const std::size_t length : {std::size_t{0}, std::size_t{31}, std::size_t{33}}) {
    FlatBufferBuilder builder;
    const auto device = builder.CreateString("d");
    const auto identity = builder.CreateVector(std::vector<std::uint8_t>(length));
    const auto hello = fbs::CreateHello(builder, kProtocolVersion, device, identity);
    check_refused(finish_frame(builder, fbs::Message::Hello, hello.Union()), "not 32 bytes");
  }
}

TEST_CASE("requests that no model could answer") {
  check_refused(make_request({.request_id = 0}, 1), "request_id is 0");
  check_refused(make_request({.request_id = 1, .codec = static_cast<fbs::Codec>(8)}, 1),
                "unknown codec");
  check_refused(make_request({.request_id = 1, .cut = 1, .codec = fbs::Codec::Jpeg}, 1),
                "only be sent at cut 0");
  check_refused(make_request({.request_id = 1, .cut = 1, .codec = fbs::Codec::JpegModelSize}, 1),
                "a picture can only be sent at cut 0");
  check_refused(
      make_request({.request_id = 1, .codec = fbs::Codec::JpegModelSize, .quality = 90}, 1),
      "a quality for a codec that has none");
  check_refused(make_request({.request_id = 1, .cut = 9, .codec = fbs::Codec::PixelsU8}, 1),
                "only be sent at cut 0");
}

TEST_CASE("answers, errors and welcomes outside their caps") {
  check_refused(make_answer(1, {}, {}), "0 scores");
  check_refused(make_answer(1, std::vector<float>(kMaxScores + 1), {}), "65537 scores");
  CHECK(parse(make_answer(1, std::vector<float>(kMaxScores), {})).is_ok());
  check_refused(make_answer(0, std::array{1.0f}, {}), "request_id is 0");
  check_refused(make_error(1, fbs::ErrorCode::None, "x"), "unknown code");
  check_refused(make_error(1, static_cast<fbs::ErrorCode>(13), "x"), "unknown code");
  check_refused(make_welcome({.server = "s", .max_inflight = 0}), "max_inflight is 0");
  ProfileData profile = test::sample_profile();
  profile.variants[1].op_p95_ns.pop_back();
  check_refused(make_welcome({.server = "s", .profile = &profile}), "Welcome: profile: variant");
}

TEST_CASE("an envelope of no or an unknown message") {
  FlatBufferBuilder none;
  const auto ping = fbs::CreatePing(none, 1);
  check_refused(finish_frame(none, fbs::Message::NONE, ping.Union()), "unknown type");
  FlatBufferBuilder unknown;
  const auto other = fbs::CreatePing(unknown, 1);
  check_refused(finish_frame(unknown, static_cast<fbs::Message>(12), other.Union()),
                "unknown type");
}

TEST_CASE("only requests and pieces have an attachment, and each has one") {
  for (const test::SampleFrame& sample : test::sample_frames()) {
    const auto envelope = parse(sample.bytes);
    REQUIRE(envelope.is_ok());
    const bool with = sample.name.find("request") == 0 || sample.name == "piece";
    CHECK(check_attachment(**envelope, 0).is_ok() == !with);
    CHECK(check_attachment(**envelope, 1).is_ok() == with);
  }
}

TEST_CASE("messages cut short anywhere, or with any bit flipped, parse or fail cleanly") {
  std::size_t parsed = 0, refused = 0;
  for (const test::SampleFrame& sample : test::sample_frames()) {
    const std::vector<std::byte> message(sample.bytes.begin() + kFrameHeaderBytes,
                                         sample.bytes.end());
    for (std::size_t length = 0; length < message.size(); ++length) {
      const std::vector<std::byte> cut(message.begin(),
                                       message.begin() + static_cast<std::ptrdiff_t>(length));
      const StatusCode code = parse_message(cut).status().code();
      // Up to 7 bytes at the end may be padding.
      if (length + 8 <= message.size()) CHECK(code == StatusCode::kCorrupt);
    }
    for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
      std::vector<std::byte> flipped = message;
      flipped[bit / 8] ^= std::byte{1} << (bit % 8);
      const StatusCode code = parse_message(flipped).status().code();
      const bool clean = code == StatusCode::kOk || code == StatusCode::kCorrupt ||
                         code == StatusCode::kUnsupported;  // a profile of another version
      if (!clean) FAIL_CHECK(sample.name << ", bit " << bit);
      ++(code == StatusCode::kOk ? parsed : refused);
    }
  }
  CHECK(parsed > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("a buffer that is not aligned is our own mistake") {
  const FrameBytes frame = make_ping(1);
  std::vector<std::byte> shifted(frame.size());
  std::copy(frame.begin() + kFrameHeaderBytes, frame.end(), shifted.begin() + 1);
  const auto message = std::span(shifted).subspan(1, frame.size() - kFrameHeaderBytes);
  CHECK(parse_message(message).status().code() == StatusCode::kInternal);
}

}  // namespace
}  // namespace cleave
