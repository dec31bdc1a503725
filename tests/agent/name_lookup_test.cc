// SPDX-License-Identifier: Apache-2.0
#include "agent/name_lookup.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <optional>

namespace cleave::agent {
namespace {

using std::chrono::milliseconds;
using Endpoints = Result<std::vector<tcp::endpoint>>;

Endpoints resolve(NameLookup& names, const std::string& host, milliseconds limit) {
  asio::io_context io(1);
  std::optional<Endpoints> endpoints;
  const Endpoint server{host, 7433};
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        endpoints = co_await names.resolve(server, Clock::now() + limit);
      },
      asio::detached);
  io.run();
  REQUIRE(endpoints.has_value());
  return *endpoints;
}

}  // namespace

TEST_CASE("an address is taken as written, without a look-up") {
  NameLookup names([](const std::string&) -> Result<NameLookup::Addresses> {
    return Status(StatusCode::kInternal, "asked the system");
  });
  for (const char* host : {"192.0.2.7", "::1"}) {
    const Endpoints endpoints = resolve(names, host, milliseconds(1000));
    REQUIRE(endpoints.is_ok());
    REQUIRE(endpoints->size() == 1);
    CHECK((*endpoints)[0] == tcp::endpoint(asio::ip::make_address(host), 7433));
  }
  CHECK(resolve(names, "name", milliseconds(1000)).status().message() == "asked the system");
}

TEST_CASE("the system knows localhost") {
  NameLookup names;
  const Endpoints endpoints = resolve(names, "localhost", milliseconds(5000));
  REQUIRE(endpoints.is_ok());
  REQUIRE_FALSE(endpoints->empty());
  for (const tcp::endpoint& endpoint : *endpoints) CHECK(endpoint.address().is_loopback());
}

TEST_CASE("a look-up left behind is taken up by the next call, not begun again") {
  std::promise<void> release;
  std::atomic<int> calls{0};
  NameLookup names([&calls, done = release.get_future().share()](
                       const std::string&) -> Result<NameLookup::Addresses> {
    ++calls;
    done.wait();
    return NameLookup::Addresses{asio::ip::make_address("192.0.2.9")};
  });
  const auto start = Clock::now();
  CHECK(resolve(names, "name", milliseconds(30)).status().code() == StatusCode::kDeadlineExceeded);
  CHECK(resolve(names, "name", milliseconds(30)).status().code() == StatusCode::kDeadlineExceeded);
  CHECK(Clock::now() - start < milliseconds(15'000));  // a look-up that is waited for never ends
  release.set_value();
  const Endpoints endpoints = resolve(names, "name", milliseconds(5000));
  REQUIRE(endpoints.is_ok());
  CHECK((*endpoints)[0].address().to_string() == "192.0.2.9");
  CHECK(calls == 1);
}

}  // namespace cleave::agent
