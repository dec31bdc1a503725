// SPDX-License-Identifier: Apache-2.0
#include "server/listen.h"

namespace cleave::server {
namespace {

error_code listen_on(tcp::acceptor& acceptor, const tcp::endpoint& address) {
  error_code error;
  acceptor.open(address.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(address, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  error_code ignored;
  if (error) acceptor.close(ignored);
  return error;
}

}  // namespace

error_code listen_on_first(tcp::acceptor& acceptor, std::span<const tcp::endpoint> addresses) {
  error_code first = asio::error::invalid_argument;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const error_code error = listen_on(acceptor, addresses[i]);
    if (!error) return {};
    if (i == 0) first = error;
  }
  return first;
}

}  // namespace cleave::server
