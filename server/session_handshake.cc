// SPDX-License-Identifier: Apache-2.0
#include "schemas/wire_reader.h"
#include "server/session.h"

namespace cleave::server {
namespace {

std::string_view name_of(const LoadedModel* model) {
  return model == nullptr ? "" : model->file->header().name()->string_view();
}

}  // namespace

void Session::welcome() {
  account_ = context_.devices.account(protocol_.device(), Clock::now());
  address_pass_.handshake_over();
  const LoadedModel* model = protocol_.model();
  const LoadedModel* current = protocol_.current_model();
  ++context_.stats.sessions;
  log_event(LogLevel::kInfo, "welcome",
            {{"session", id_},
             {"peer", peer_},
             {"device", protocol_.device()},
             {"model", name_of(model)},
             {"current", name_of(current)},
             {"version", protocol_.version()},
             {"features", protocol_.features()}});
  std::span<const std::uint8_t> current_identity;
  if (current != nullptr) current_identity = current->file->identity();
  send(make_welcome({.server = "cleave-server",
                     .session_id = id_,
                     .max_inflight = context_.options.max_inflight,
                     .max_picture_bytes = context_.options.picture.max_file_bytes,
                     .profile = model == nullptr ? nullptr : &model->profile,
                     .features = protocol_.features(),
                     .heartbeat_ms = protocol_.heartbeat_ms(),
                     .current_model = current_identity,
                     .protocol_version = protocol_.version()}));
}

}  // namespace cleave::server
