// SPDX-License-Identifier: Apache-2.0
#include "server/session_protocol.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "schemas/text_check.h"
#include "server/request_check.h"

namespace cleave::server {
namespace {

std::string to_string(VersionRange range) {
  std::string text = std::to_string(range.lowest);
  if (range.highest != range.lowest) text += " to " + std::to_string(range.highest);
  return text;
}

std::string names_of(const ModelStore& models) {
  std::string names;
  for (const auto& model : models.models()) {
    names += (names.empty() ? "" : ", ") + model->file->header().name()->str();
  }
  return names;
}

bool is_boundary_codec(fbs::Codec codec) {
  return codec == fbs::Codec::Lossless || codec == fbs::Codec::F16 || codec == fbs::Codec::Int8 ||
         codec == fbs::Codec::Coded;
}

}  // namespace

FrameLimits SessionProtocol::limits() const {
  FrameLimits limits{.max_message_bytes = kMaxMessageToServerBytes};
  if (model_ != nullptr) {
    limits.max_attachment_bytes =
        std::max(model_->max_attachment_bytes, options_.picture.max_file_bytes);
  }
  return limits;
}

std::uint32_t SessionProtocol::heartbeat_ms() const {
  return agreed(kFeatureHeartbeat) ? static_cast<std::uint32_t>(options_.heartbeat.count()) : 0;
}

SessionProtocol::Step SessionProtocol::take(const fbs::Envelope& message,
                                            std::uint64_t attachment_bytes, std::size_t under_way) {
  if (state_ == State::kGreeting) {
    const fbs::Hello* hello = message.message_as_Hello();
    if (hello != nullptr) return greet(*hello);
    return refuse(fbs::ErrorCode::Protocol, "the first message must be Hello");
  }
  switch (message.message_type()) {
    case fbs::Message::Request:
      return take_request(*message.message_as_Request(), attachment_bytes, under_way);
    case fbs::Message::Cancel:
      return {.action = Action::kCancel, .request_id = message.message_as_Cancel()->request_id()};
    case fbs::Message::Fetch:
      return {.action = Action::kFetch};
    case fbs::Message::Ping:
      return {.action = Action::kPong};
    case fbs::Message::Pong:
      return {.action = Action::kIgnore};
    case fbs::Message::Goodbye:
      state_ = State::kFinishing;
      return {.action = Action::kFinish};
    default:
      return refuse(fbs::ErrorCode::Protocol, "this message is not the agent's to send");
  }
}

SessionProtocol::Step SessionProtocol::take_unreadable(const Status& why) {
  const bool version = why.code() == StatusCode::kMismatch;
  return refuse(version ? fbs::ErrorCode::VersionMismatch : fbs::ErrorCode::Protocol,
                why.message());
}

void SessionProtocol::drain() {
  ending_ = true;
  if (state_ == State::kOpen) state_ = State::kDraining;
}

SessionProtocol::Step SessionProtocol::greet(const fbs::Hello& hello) {
  device_ = hello.device()->str();
  const VersionRange offered = offered_versions(hello.protocol_version(), hello.lowest_version());
  const auto version = highest_common_version(offered, kSpokenVersions);
  if (!version) {
    return refuse(fbs::ErrorCode::VersionMismatch, "this server speaks protocol version " +
                                                       to_string(kSpokenVersions) + ", the agent " +
                                                       to_string(offered));
  }
  // Nothing of the models is looked at, or told, before.
  std::string why = authenticate(hello);
  if (!why.empty()) return refuse(fbs::ErrorCode::Unauthorized, std::move(why));
  why = choose_models(hello);
  if (!why.empty()) return refuse(fbs::ErrorCode::UnknownModel, std::move(why));
  if (ending_) return refuse(fbs::ErrorCode::ShuttingDown, "the server is shutting down");
  version_ = *version;
  features_ = hello.features() & kKnownFeatures;
  state_ = State::kOpen;
  return {.action = Action::kWelcome};
}

std::string SessionProtocol::authenticate(const fbs::Hello& hello) {
  const bool shown = hello.token() != nullptr && hello.token()->size() > 0;
  const std::string_view token = shown ? hello.token()->string_view() : std::string_view();
  std::string why = trust_.refuse(device_, token);
  if (why.empty() && trust_.demanded && trust_.certificate_name.empty()) {
    const auto hash = token_hash(token);
    if (!hash.is_ok()) return hash.status().message();
    token_ = *hash;
  }
  return why;
}

std::string SessionProtocol::choose_models(const fbs::Hello& hello) {
  const auto& identity = *hello.model_identity();
  const bool only_fetches = std::ranges::count(identity, 0) == std::ssize(identity);
  if (!only_fetches) {
    model_ = models_.find({identity.data(), identity.size()});
    if (model_ == nullptr) {
      return "this server does not hold the agent's model; start it with the same file";
    }
    const std::string_view name = model_->file->header().name()->string_view();
    current_model_ = models_.current(clean_text(name, kMaxTextBytes));
    if (current_model_ == model_) current_model_ = nullptr;
    return "";
  }
  // Without a name the agent knows the identity that it wants.
  if (hello.model_name() == nullptr || hello.model_name()->size() == 0) return "";
  current_model_ = models_.current(hello.model_name()->string_view());
  if (current_model_ != nullptr) return "";
  return "this server has no model of that name; it has " + names_of(models_);
}

SessionProtocol::Step SessionProtocol::take_request(const fbs::Request& request,
                                                    std::uint64_t attachment_bytes,
                                                    std::size_t under_way) {
  if (model_ == nullptr) {
    return refuse(fbs::ErrorCode::Protocol, "a connection without a model may only fetch");
  }
  const std::uint64_t id = request.request_id();
  // Nothing after a request of the wrong size can be trusted to start at a frame.
  std::string why = check_request(*model_, options_.picture, request, attachment_bytes);
  if (why.empty() && is_boundary_codec(request.codec()) && !agreed(kFeatureBoundaryCodecs)) {
    why = "boundary codecs were not agreed on";
  }
  if (why.empty() && request.codec() == fbs::Codec::JpegModelSize &&
      !agreed(kFeatureJpegModelSize)) {
    why = "JPEGs at model size were not agreed on";
  }
  if (!why.empty()) return refuse(fbs::ErrorCode::BadRequest, std::move(why), id);
  if (state_ == State::kDraining) {
    return {Action::kTurnDown, fbs::ErrorCode::ShuttingDown, id, "the server is shutting down"};
  }
  if (under_way >= options_.max_inflight) {
    return {Action::kTurnDown, fbs::ErrorCode::Busy, id, "too many requests at once"};
  }
  return {.action = Action::kRequest, .request_id = id};
}

SessionProtocol::Step SessionProtocol::refuse(fbs::ErrorCode code, std::string text,
                                              std::uint64_t request_id) {
  state_ = State::kClosed;
  return {Action::kRefuse, code, request_id, std::move(text)};
}

}  // namespace cleave::server
