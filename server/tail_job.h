// SPDX-License-Identifier: Apache-2.0
//
// One request on its way through the server: filled by the session, computed by a worker, answered
// by the session. Exactly one of them owns it at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "schemas/generated/wire_generated.h"
#include "server/model_store.h"
#include "server/net.h"
#include "server/payload_pool.h"

namespace cleave::server {

struct TailJob {
  // Set by the session; all checked against the model.
  std::uint64_t request_id = 0;
  const LoadedModel* model = nullptr;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  fbs::Codec codec = fbs::Codec::Raw;
  Payload payload;  // Raw: a buffer per boundary tensor; else one with the attachment
  std::size_t attachment_bytes = 0;
  Clock::time_point arrived;  // last byte in
  std::optional<Clock::time_point> deadline;
  std::shared_ptr<const std::atomic<bool>> unwanted;  // true once the agent is gone

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
