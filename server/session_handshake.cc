// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include "schemas/wire_reader.h"
#include "server/session.h"

namespace cleave::server {

asio::awaitable<bool> Session::handshake() {
  Incoming frame;
  const FrameLimits limits{.max_message_bytes = kMaxMessageToServerBytes};
  const bool received = co_await read_frame(limits, frame);
  if (!received) co_return false;
  const fbs::Hello* hello = frame.envelope->message_as_Hello();
  if (hello == nullptr) {
    refuse(fbs::ErrorCode::Protocol, "the first message must be Hello");
    co_return false;
  }
  device_ = hello->device()->str();
  if (hello->protocol_version() != kProtocolVersion) {
    refuse(fbs::ErrorCode::VersionMismatch,
           "this server speaks protocol version " + std::to_string(kProtocolVersion));
    co_return false;
  }
  const auto* identity = hello->model_identity();
  model_ = context_.models.find({identity->data(), identity->size()});
  if (model_ == nullptr) {
    refuse(fbs::ErrorCode::UnknownModel,
           "this server does not hold the agent's model; start it with the same file");
    co_return false;
  }
  if (draining_) {
    refuse(fbs::ErrorCode::ShuttingDown, "the server is shutting down");
    co_return false;
  }
  spdlog::info("{} {}: connected, model {}", peer_, device_,
               model_->file->header().name()->string_view());
  send(make_welcome({.server = "cleave-server",
                     .session_id = id_,
                     .max_inflight = context_.options.max_inflight,
                     .max_picture_bytes = context_.options.picture.max_file_bytes,
                     .profile = &model_->profile}));
  co_return true;
}

}  // namespace cleave::server
