// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tls_pair.h"

#include <array>
#include <utility>

namespace cleave::test {

TlsPair::TlsPair() { connect(); }

void TlsPair::connect() {
  using asio::ip::tcp;
  server_ = nullptr;
  client_ = nullptr;
  tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
  client_ = std::make_unique<Stream>(io_.get_executor());
  client_->tcp_socket().connect(acceptor.local_endpoint());
  server_ = std::make_unique<Stream>(acceptor.accept());
}

void TlsPair::run(const std::function<asio::awaitable<void>(Stream&)>& at_server,
                  const std::function<asio::awaitable<void>(Stream&)>& at_client) {
  io_.restart();
  asio::co_spawn(
      io_, [&] { return at_server(*server_); }, asio::detached);
  asio::co_spawn(
      io_, [&] { return at_client(*client_); }, asio::detached);
  io_.run();
}

asio::awaitable<void> TlsPair::serve(Stream& stream, Context context) {
  server_error = co_await stream.accept_tls(std::move(context));
  error_code ignored;
  if (!server_error) {
    const std::array<char, 1> word{'!'};
    const auto [error, count] = co_await stream.async_write_some(asio::buffer(word), as_result);
    server_error = error;
    co_return;
  }
  // As the server does: closing on unread bytes could take the alert with it.
  stream.shutdown(Stream::Socket::shutdown_send, ignored);
  std::array<char, 256> scrap;
  for (error_code error; !error;) {
    std::size_t count = 0;
    std::tie(error, count) =
        co_await stream.tcp_socket().async_read_some(asio::buffer(scrap), as_result);
  }
  stream.close(ignored);
}

asio::awaitable<void> TlsPair::visit(Stream& stream, Context context, std::string name) {
  client_error = co_await stream.connect_tls(std::move(context), std::move(name));
  if (!client_error) {
    std::array<char, 1> word{};
    const auto [error, count] = co_await stream.async_read_some(asio::buffer(word), as_result);
    client_error = error;
  }
  error_code ignored;
  if (client_error) stream.close(ignored);
}

void TlsPair::meet(const Context& server, const Context& client, const std::string& name) {
  connect();
  run([&](Stream& stream) { return serve(stream, server); },
      [&](Stream& stream) { return visit(stream, client, name); });
}

}  // namespace cleave::test
