// SPDX-License-Identifier: Apache-2.0
#include "server/listen.h"

#include <doctest/doctest.h>

#include <vector>

namespace cleave::test {

using server::tcp;
using server::asio::ip::address_v4;

TEST_CASE("of several addresses the first that can be had is listened on") {
  server::asio::io_context io;
  tcp::acceptor other(io);
  const std::vector<tcp::endpoint> any_port{{address_v4::loopback(), 0}};
  REQUIRE_FALSE(server::listen_on_first(other, any_port));
  const tcp::endpoint taken = other.local_endpoint();
  // 192.0.2.1 is for documentation: no machine has it.
  const tcp::endpoint foreign(server::asio::ip::make_address("192.0.2.1"), 0);
  const tcp::endpoint free(address_v4({127, 0, 0, 2}), taken.port());
  const tcp::endpoint unused(address_v4({127, 0, 0, 3}), taken.port());

  tcp::acceptor acceptor(io);
  const std::vector<tcp::endpoint> some{taken, foreign, free, unused};
  REQUIRE_FALSE(server::listen_on_first(acceptor, some));
  CHECK(acceptor.local_endpoint() == free);

  tcp::acceptor nowhere(io);
  const std::vector<tcp::endpoint> none{taken, foreign};
  CHECK(server::listen_on_first(nowhere, none) == server::asio::error::address_in_use);
  CHECK_FALSE(nowhere.is_open());
  CHECK(server::listen_on_first(nowhere, {}) == server::asio::error::invalid_argument);
}

}  // namespace cleave::test
