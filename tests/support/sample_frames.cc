// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sample_frames.h"

#include <array>
#include <numeric>

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

std::vector<SampleFrame> sample_frames() {
  const std::array<float, 3> scores = {0.125f, -1.5f, 3.0f};
  const ProfileData profile = sample_profile();
  return {
      {"hello", make_hello("gate camera 7", sample_identity())},
      {"welcome", make_welcome({.server = "cleave-server",
                                .session_id = 9,
                                .max_inflight = 4,
                                .max_picture_bytes = 64u << 20,
                                .profile = nullptr})},
      {"welcome_profile", make_welcome({.server = "cleave-server",
                                        .session_id = 10,
                                        .max_inflight = 1,
                                        .max_picture_bytes = 1000,
                                        .profile = &profile})},
      {"request_raw_f32", make_request(1, 0, 17, fbs::Codec::Raw, 250'000'000, 4096)},
      {"request_jpeg", make_request(0xffff'ffff'ffff'ffff, 1, 0, fbs::Codec::Jpeg, 0, 123'456)},
      {"request_pixels_u8", make_request(2, 0, 0, fbs::Codec::PixelsU8, 1, 150'528)},
      {"answer",
       make_answer(
           1, scores,
           {.residence_ns = 9'000, .queue_ns = 1'000, .decode_ns = 2'000, .compute_ns = 5'000})},
      {"error", make_error(1, fbs::ErrorCode::Busy, "all workers are busy", 50)},
      {"error_connection", make_error(0, fbs::ErrorCode::UnknownModel, "no such model here")},
      {"ping", make_ping(0x0123'4567'89ab'cdef)},
      {"pong", make_pong(0x0123'4567'89ab'cdef)},
      {"goodbye", make_goodbye("done")},
  };
}

}  // namespace cleave::test
