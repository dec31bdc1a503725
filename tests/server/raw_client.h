// SPDX-License-Identifier: Apache-2.0
//
// A client that speaks bytes, so that it can say what no agent would.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/wire_reader.h"

namespace cleave::test {

class RawClient {
 public:
  // `buffer_bytes` fixes the kernel's two buffers; 0 leaves them to grow as the kernel likes.
  // `from` is the last byte of the loopback address that it comes from, 127.0.0.x.
  explicit RawClient(std::uint16_t port, int buffer_bytes = 0, std::uint8_t from = 1);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the server has closed.
  bool send(std::span<const std::byte> bytes) const;
  bool send_text(std::string_view text) const {
    return send(std::as_bytes(std::span(text.data(), text.size())));
  }

  void set_non_blocking() const;
  // Without waiting; false when the socket takes no more now.
  bool send_some(std::span<const std::byte> bytes) const;
  // Of a non-blocking one: the bytes that the socket takes now; 0 also when the server has closed.
  [[nodiscard]] std::size_t send_what_fits(std::span<const std::byte> bytes) const;

  // Nothing more will be sent.
  void end_sending() const;
  // Reads until the server closes, and gives what came; nothing when it does not close in 10 s.
  [[nodiscard]] std::optional<std::vector<std::byte>> receive_to_end() const;

  // The next message; nothing when the server closed or was silent for 10 s. Valid until the next.
  const fbs::Envelope* receive();
  // The bytes of the message that receive() gave last.
  [[nodiscard]] std::span<const std::byte> message() const {
    return std::as_bytes(std::span(storage_)).first(message_bytes_);
  }
  // Whether the server closes within `milliseconds` without sending anything more.
  bool closed_within(int milliseconds);

  // False when the server closed or was silent for 10 s.
  bool receive_exactly(std::span<std::byte> bytes) const;

 private:
  int socket_ = -1;
  std::vector<std::uint64_t> storage_;
  std::size_t message_bytes_ = 0;
};

}  // namespace cleave::test
