// SPDX-License-Identifier: Apache-2.0
//
// The two ends of one connection in one thread, so that each says what became of it.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "schemas/transport/stream.h"

namespace cleave::test {

class TlsPair {
 public:
  using Context = std::shared_ptr<const TlsContext>;

  TlsPair();
  // Shakes hands; then the client waits for a byte, which the server sends when it is satisfied.
  void meet(const Context& server, const Context& client, const std::string& name = "localhost");

  Stream& server() { return *server_; }
  Stream& client() { return *client_; }
  error_code server_error, client_error;  // of the last meeting

  // Runs `work` at both ends, to the end of both.
  void run(const std::function<asio::awaitable<void>(Stream&)>& at_server,
           const std::function<asio::awaitable<void>(Stream&)>& at_client);

 private:
  asio::awaitable<void> serve(Stream& stream, Context context);
  asio::awaitable<void> visit(Stream& stream, Context context, std::string name);
  void connect();

  asio::io_context io_{1};
  std::unique_ptr<Stream> server_, client_;
};

}  // namespace cleave::test
