// SPDX-License-Identifier: Apache-2.0
//
// One request on its way through the server: filled by the session, computed by a worker, answered
// by the session. Exactly one of them owns it at any time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "schemas/generated/wire_generated.h"
#include "server/device_limiter.h"
#include "server/model_store.h"
#include "server/net.h"
#include "server/payload_pool.h"

namespace cleave::server {

struct TailJob {
  // Set by the desk.
  std::uint64_t ticket = 0;

  // Set by the session; all checked against the model.
  std::uint64_t request_id = 0;
  const LoadedModel* model = nullptr;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;  // of Coded
  std::uint64_t sample = 0;  // of the attachment (attachment_sample.h)
  // Raw: a buffer per boundary tensor; a picture in any form: one with the attachment; else the
  // attachment, and behind it a buffer per boundary tensor to decode into.
  Payload payload;
  std::size_t attachment_bytes = 0;
  Clock::time_point arrived;  // last byte in
  std::optional<Clock::time_point> deadline;
  DevicePass device_pass;  // ends on the network thread, like the payload

  [[nodiscard]] bool is_picture() const {
    return codec == fbs::Codec::Jpeg || codec == fbs::Codec::PixelsU8 ||
           codec == fbs::Codec::JpegModelSize;
  }

  // Set by the worker.
  fbs::ErrorCode error = fbs::ErrorCode::None;
  std::string error_text;
  std::vector<float> scores;
  std::uint64_t queue_ns = 0, decode_ns = 0, compute_ns = 0;

  // Takes the finished job, on the worker's thread; once. When it throws for want of memory it has
  // left the job with the worker, which asks again.
  std::function<void(std::unique_ptr<TailJob>&&)> done;

  void fail(fbs::ErrorCode code, std::string text) {
    error = code;
    error_text = std::move(text);
  }
};

}  // namespace cleave::server
