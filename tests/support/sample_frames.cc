// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sample_frames.h"

#include <array>
#include <numeric>
#include <utility>

namespace cleave::test {

Sha256Digest sample_identity() {
  Sha256Digest identity{};
  std::iota(identity.begin(), identity.end(), std::uint8_t{0});
  return identity;
}

ProfileData sample_profile() {
  return {.model_identity = sample_identity(),
          .processor = "Cortex-A72 x4",
          .input_ns = 12'000'000,
          .variants = {{.variant = "f32",
                        .threads = 4,
                        .runs = 50,
                        .op_median_ns = {1'000, 2'000'000, 3},
                        .op_p95_ns = {1'100, 2'500'000, 4}},
                       {.variant = "qs8",
                        .threads = 1,
                        .runs = 5,
                        .op_median_ns = {0, 1, 2},
                        .op_p95_ns = {1, 2, 3}}}};
}

ProfileData sample_profile_v2() {
  ProfileData profile = sample_profile();
  profile.variants.push_back(profile.variants[0]);
  profile.variants[2].threads = 1;
  profile.variants[2].layer_median_ns = {1'000, 2'000'003};
  profile.variants[2].layer_p95_ns = {1'100, 2'500'004};
  profile.clock_khz = 1'500'000;
  profile.cores = 4;
  profile.sample_pictures = 7;
  profile.coded = {{.variant = "f32",
                    .codec = static_cast<std::uint8_t>(fbs::Codec::Raw),
                    .op_boundary = {1, 2},
                    .median_bytes = {4'096, 512},
                    .p95_bytes = {4'096, 512}},
                   {.variant = "f32",
                    .codec = static_cast<std::uint8_t>(fbs::Codec::Jpeg),
                    .op_boundary = {0},
                    .median_bytes = {90'000},
                    .p95_bytes = {310'000}}};
  return profile;
}

ProfileData sample_profile_v3() {
  ProfileData profile = sample_profile_v2();
  profile.variants[1].compared_pictures = 150;
  profile.variants[1].differing_pictures = 2;
  return profile;
}

ProfileData sample_profile_v4() {
  ProfileData profile = sample_profile_v2();
  profile.variants[1].compared_pictures = 150;
  profile.variants[1].differing_pictures = 2;
  profile.coded.push_back({.variant = "f32",
                           .codec = static_cast<std::uint8_t>(fbs::Codec::Lossless),
                           .op_boundary = {1},
                           .median_bytes = {3'000},
                           .p95_bytes = {3'500},
                           .decode_ns = {40'000}});
  profile.coded.push_back({.variant = "f32",
                           .codec = static_cast<std::uint8_t>(fbs::Codec::Coded),
                           .op_boundary = {1, 2},
                           .median_bytes = {400, 60},
                           .p95_bytes = {500, 70},
                           .quality = 1,
                           .pictures = 12,
                           .encode_ns = {30'000, 4'000},
                           .compared_pictures = 12,
                           .differing_pictures = {1, 12}});
  return profile;
}

namespace {

std::vector<SampleFrame> handshake_frames() {
  const ProfileData profile = sample_profile_v2();
  const ProfileData coded_profile = sample_profile_v4();
  const Sha256Digest identity = sample_identity();
  return {
      {"hello", make_hello({.device = "gate camera 7", .model_identity = identity})},
      {"hello_full", make_hello({.device = "gate camera 7",
                                 .model_identity = identity,
                                 .lowest_version = 2,
                                 .features = 0x8000'0000'0000'001f,
                                 .token = "a shared secret",
                                 .model_name = "mobilenet_v2"})},
      {"welcome", make_welcome({.server = "cleave-server",
                                .session_id = 9,
                                .max_inflight = 4,
                                .max_picture_bytes = 64u << 20,
                                .profile = nullptr})},
      {"welcome_full", make_welcome({.server = "cleave-server",
                                     .session_id = 10,
                                     .max_inflight = 1,
                                     .max_picture_bytes = 1000,
                                     .profile = &profile,
                                     .features = 0x1f,
                                     .heartbeat_ms = 5000,
                                     .current_model = identity})},
      {"hello_features_7f", make_hello({.device = "gate camera 7",
                                        .model_identity = identity,
                                        .lowest_version = 2,
                                        .features = 0x7f})},
      {"welcome_features_7f", make_welcome({.server = "cleave-server",
                                            .session_id = 11,
                                            .max_inflight = 8,
                                            .max_picture_bytes = 64u << 20,
                                            .profile = &coded_profile,
                                            .features = 0x7f,
                                            .heartbeat_ms = 5000})},
      {"error_connection", make_error(0, fbs::ErrorCode::UnknownModel, "no such model here")},
      {"error_unauthorized", make_error(0, fbs::ErrorCode::Unauthorized, "a wrong token")},
      {"error_protocol", make_error(0, fbs::ErrorCode::Protocol, "Answer from an agent")},
      {"error_version", make_error(0, fbs::ErrorCode::VersionMismatch, "this server speaks 2")},
      {"error_shutting_down", make_error(0, fbs::ErrorCode::ShuttingDown, "ends", 1000)},
  };
}

std::vector<SampleFrame> request_frames() {
  std::vector<SampleFrame> frames{
      {"request_raw_f32",
       make_request({.request_id = 1, .cut = 17, .remaining_ns = 250'000'000}, 4096)},
      {"request_jpeg",
       make_request({.request_id = 0xffff'ffff'ffff'ffff, .variant = 1, .codec = fbs::Codec::Jpeg},
                    123'456)},
      {"request_pixels_u8",
       make_request({.request_id = 2, .codec = fbs::Codec::PixelsU8, .remaining_ns = 1}, 150'528)},
      {"request_jpeg_model_size",
       make_request({.request_id = 7, .codec = fbs::Codec::JpegModelSize}, 16'627)},
      {"request_lossless",
       make_request({.request_id = 3, .cut = 4, .codec = fbs::Codec::Lossless}, 3000)},
      {"request_f16", make_request({.request_id = 4, .cut = 4, .codec = fbs::Codec::F16}, 2048)},
      {"request_int8", make_request({.request_id = 5, .cut = 4, .codec = fbs::Codec::Int8}, 1100)},
      {"request_coded",
       make_request({.request_id = 6, .cut = 4, .codec = fbs::Codec::Coded, .quality = 2}, 200)},
  };
  return frames;
}

std::vector<SampleFrame> reply_frames() {
  const std::array<float, 3> scores = {0.125f, -1.5f, 3.0f};
  const ServerTimes times{
      .residence_ns = 9'000, .queue_ns = 1'000, .decode_ns = 2'000, .compute_ns = 5'000};
  return {
      {"answer", make_answer(1, scores, times)},
      {"answer_repeated", make_answer(1, scores, times, true)},
      {"error", make_error(1, fbs::ErrorCode::Busy, "all workers are busy", 50)},
      {"error_cancelled", make_error(1, fbs::ErrorCode::Cancelled, "cancelled")},
      {"error_bad_request", make_error(1, fbs::ErrorCode::BadRequest, "no such cut")},
      {"error_bad_picture", make_error(1, fbs::ErrorCode::BadPicture, "the file is cut short")},
      {"error_deadline", make_error(1, fbs::ErrorCode::DeadlineExceeded, "its time is over")},
      {"error_internal", make_error(1, fbs::ErrorCode::Internal, "no memory", 500)},
      {"error_not_found", make_error(7, fbs::ErrorCode::NotFound, "no such segment here")},
      {"piece", make_piece(7, 1u << 20, 4096)},
  };
}

}  // namespace

std::vector<SampleFrame> sample_frames() {
  std::vector<SampleFrame> frames = handshake_frames();
  for (auto& frame : request_frames()) frames.push_back(std::move(frame));
  for (auto& frame : reply_frames()) frames.push_back(std::move(frame));
  frames.push_back({"ping", make_ping(0x0123'4567'89ab'cdef)});
  frames.push_back({"pong", make_pong(0x0123'4567'89ab'cdef)});
  frames.push_back({"goodbye", make_goodbye("done")});
  frames.push_back({"cancel", make_cancel(1)});
  const Sha256Digest identity = sample_identity();
  frames.push_back(
      {"fetch",
       make_fetch(
           {.fetch_id = 7, .sha256 = identity, .offset = 0x1'0000'0000, .bytes = kMaxPieceBytes})});
  return frames;
}

}  // namespace cleave::test
