// SPDX-License-Identifier: Apache-2.0
#include "tests/server/raw_client.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "schemas/frame.h"

namespace cleave::test {
namespace {

bool readable(int socket, int milliseconds) {
  pollfd waiting{socket, POLLIN, 0};
  return poll(&waiting, 1, milliseconds) > 0;
}

}  // namespace

RawClient::RawClient(std::uint16_t port, int buffer_bytes, std::uint8_t from)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (buffer_bytes > 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffU) | from);
  // The port is chosen when it connects: else a flood of clients would use all of them up.
  const int on = 1;
  setsockopt(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  REQUIRE(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

RawClient::~RawClient() { close(socket_); }

bool RawClient::send(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

void RawClient::set_non_blocking() const { fcntl(socket_, F_SETFL, O_NONBLOCK); }

bool RawClient::send_some(std::span<const std::byte> bytes) const {
  return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

std::size_t RawClient::send_what_fits(std::span<const std::byte> bytes) const {
  const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return static_cast<std::size_t>(std::max<ssize_t>(count, 0));
}

void RawClient::end_sending() const { shutdown(socket_, SHUT_WR); }

std::optional<std::vector<std::byte>> RawClient::receive_to_end() const {
  std::vector<std::byte> all;
  std::array<std::byte, 4096> some{};
  while (readable(socket_, 10'000)) {
    const ssize_t count = recv(socket_, some.data(), some.size(), 0);
    if (count <= 0) return all;
    all.insert(all.end(), some.begin(), some.begin() + count);
  }
  return std::nullopt;
}

bool RawClient::receive_exactly(std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    if (!readable(socket_, 10'000)) return false;
    const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

const fbs::Envelope* RawClient::receive() {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (!receive_exactly(bytes)) return nullptr;
  // A Piece's attachment is left to receive_exactly().
  const auto header = decode_frame_header(bytes, {.max_attachment_bytes = kMaxPieceBytes});
  REQUIRE(header.is_ok());
  message_bytes_ = header->message_bytes;
  storage_.resize((message_bytes_ + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(storage_.data()), header->message_bytes);
  if (!receive_exactly(message)) return nullptr;
  const auto envelope = parse_message(message);
  REQUIRE(envelope.is_ok());
  return *envelope;
}

bool RawClient::closed_within(int milliseconds) {
  std::byte byte{};
  return readable(socket_, milliseconds) && recv(socket_, &byte, 1, 0) <= 0;
}

}  // namespace cleave::test
