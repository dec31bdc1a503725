// SPDX-License-Identifier: Apache-2.0
#include "tests/agent/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "schemas/frame.h"

namespace cleave::test {

FrameBytes make_test_welcome(const ModelIdentity& identity, std::uint64_t max_picture_bytes,
                             std::size_t ops, std::uint64_t features, std::uint32_t heartbeat_ms) {
  ProfileData profile;
  profile.model_identity = identity;
  profile.processor = "test";
  profile.variants.push_back(
      {"f32", 1, 1, std::vector<std::uint64_t>(ops, 5), std::vector<std::uint64_t>(ops, 6)});
  return make_welcome({.server = "test",
                       .session_id = 1,
                       .max_inflight = 4,
                       .max_picture_bytes = max_picture_bytes,
                       .profile = &profile,
                       .features = features,
                       .heartbeat_ms = heartbeat_ms});
}

void ScriptedPeer::greet(const ModelIdentity& identity, std::uint64_t max_picture_bytes,
                         std::size_t ops, std::uint64_t features, std::uint32_t heartbeat_ms) {
  if (receive() == nullptr) return;
  send(make_test_welcome(identity, max_picture_bytes, ops, features, heartbeat_ms));
  for (int i = 0; i < 3; ++i) {
    const fbs::Envelope* ping = receive();
    if (ping == nullptr || ping->message_as_Ping() == nullptr) return;
    send(make_pong(ping->message_as_Ping()->nonce()));
  }
}

std::uint64_t ScriptedPeer::next_request() {
  while (const fbs::Envelope* message = receive()) {
    if (const fbs::Request* request = message->message_as_Request()) return request->request_id();
    if (const fbs::Ping* ping = message->message_as_Ping()) send(make_pong(ping->nonce()));
  }
  return 0;
}

bool ScriptedPeer::send(std::span<const std::byte> bytes) const {
  return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
}

std::size_t ScriptedPeer::unread_bytes() const {
  int bytes = 0;
  return ioctl(socket_, FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool ScriptedPeer::is_quiet_for(std::chrono::milliseconds time) const {
  pollfd wanted{.fd = socket_, .events = POLLIN, .revents = 0};
  return poll(&wanted, 1, static_cast<int>(time.count())) == 0;
}

bool ScriptedPeer::receive_exactly(std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool ScriptedPeer::drain(std::size_t bytes, std::size_t step,
                         std::chrono::milliseconds pause) const {
  std::vector<std::byte> scrap(step);
  while (bytes > 0) {
    std::this_thread::sleep_for(pause);
    const std::size_t count = std::min(step, bytes);
    if (!receive_exactly(std::span(scrap).first(count))) return false;
    bytes -= count;
  }
  return true;
}

const fbs::Envelope* ScriptedPeer::receive() {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (!receive_exactly(bytes)) return nullptr;
  const auto header = decode_frame_header(bytes, {.max_attachment_bytes = 1 << 20});
  if (!header.is_ok()) return nullptr;
  storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(storage_.data()), header->message_bytes);
  attachment_.resize(header->attachment_bytes);
  if (!receive_exactly(message) || !receive_exactly(attachment_)) return nullptr;
  const auto envelope = parse_message(message);
  return envelope.is_ok() ? *envelope : nullptr;
}

ScriptedServer::ScriptedServer(std::function<void(ScriptedPeer&, int)> script,
                               int receive_buffer_bytes)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  if (receive_buffer_bytes > 0) {
    setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
               sizeof(receive_buffer_bytes));
  }
  listen(listener_, 16);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, script = std::move(script)] {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 10) <= 0) continue;
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      ScriptedPeer peer(socket);
      script(peer, connections_++);
      close(socket);
    }
  });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

}  // namespace cleave::test
