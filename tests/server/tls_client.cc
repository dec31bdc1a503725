// SPDX-License-Identifier: Apache-2.0
#include "tests/server/tls_client.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

namespace cleave::test {

TlsClient::TlsClient(std::uint16_t port, std::shared_ptr<const TlsContext> context,
                     std::uint8_t from)
    : stream_(io_.get_executor()) {
  // The port is chosen when it connects: else a flood of clients would use all of them up.
  const int on = 1;
  auto& socket = stream_.tcp_socket();
  socket.open(asio::ip::tcp::v4());
  setsockopt(socket.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  socket.bind({asio::ip::address_v4((INADDR_LOOPBACK & ~0xFFU) | from), 0});
  socket.connect({asio::ip::address_v4::loopback(), port});
  error_ = wait(stream_.connect_tls(std::move(context), "127.0.0.1"));
}

bool TlsClient::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    const auto [error, count] = wait(stream_.async_write_some(buffer, as_result));
    error_ = error;
    if (error) return false;
    bytes = bytes.subspan(count);
  }
  return true;
}

bool TlsClient::receive_exactly(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const asio::mutable_buffer buffer(bytes.data(), bytes.size());
    const auto [error, count] = wait(stream_.async_read_some(buffer, as_result));
    error_ = error;
    if (error) return false;
    bytes = bytes.subspan(count);
  }
  return true;
}

const fbs::Envelope* TlsClient::receive() {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (!receive_exactly(bytes)) return nullptr;
  const auto header = decode_frame_header(bytes, {});
  REQUIRE(header.is_ok());
  storage_.resize((header->message_bytes + 7) / 8);
  const std::span message(reinterpret_cast<std::byte*>(storage_.data()), header->message_bytes);
  if (!receive_exactly(message)) return nullptr;
  const auto envelope = parse_message(message);
  REQUIRE(envelope.is_ok());
  return *envelope;
}

void TlsClient::receive_to_end() {
  std::byte byte{};
  while (receive_exactly({&byte, 1})) continue;
}

}  // namespace cleave::test
