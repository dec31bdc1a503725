// SPDX-License-Identifier: Apache-2.0
//
// A client that speaks frames over TLS and says what it likes in them.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <span>
#include <vector>

#include "schemas/transport/stream.h"
#include "schemas/wire_reader.h"

namespace cleave::test {

class TlsClient {
 public:
  // Connects from 127.0.0.`from` and shakes hands with the server at 127.0.0.1; error() says how
  // it went.
  TlsClient(std::uint16_t port, std::shared_ptr<const TlsContext> context, std::uint8_t from = 1);

  // Of the last operation.
  [[nodiscard]] const error_code& error() const { return error_; }
  bool send(std::span<const std::byte> bytes);
  // The next message; null at the end. Valid until the next.
  const fbs::Envelope* receive();
  // Reads what comes away, until the end.
  void receive_to_end();
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  bool receive_exactly(std::span<std::byte> bytes);
  // Runs `operation` to its end.
  template <typename T>
  T wait(asio::awaitable<T> operation) {
    T result{};
    io_.restart();
    asio::co_spawn(io_, std::move(operation),
                   [&result](const std::exception_ptr&, T value) { result = std::move(value); });
    io_.run();
    return result;
  }

  asio::io_context io_{1};
  Stream stream_;
  error_code error_;
  std::vector<std::uint64_t> storage_;
};

}  // namespace cleave::test
