// SPDX-License-Identifier: Apache-2.0
#include "agent/what_if.h"

#include <doctest/doctest.h>

#include <string>

namespace cleave::agent {
namespace {

CommandOptions given() {
  CommandOptions options;
  options.server = "10.0.0.1:7433";
  options.bandwidth = "10mbit";
  options.caps.ram = "1GiB";
  return options;
}

}  // namespace

TEST_CASE("what is named takes the other value, all else stays") {
  const auto changed = apply_what_if(given(), "bandwidth=2mbit,min-split=3,cores=2,rank=knee");
  REQUIRE_MESSAGE(changed.is_ok(), changed.status().message());
  CHECK(changed->bandwidth == "2mbit");
  CHECK(changed->min_split == 3);
  CHECK(changed->caps.cores == 2);
  CHECK(changed->trade.rank == "knee");
  CHECK(changed->caps.ram == "1GiB");
  CHECK(changed->server == "10.0.0.1:7433");
}

TEST_CASE("every name reaches its option") {
  const auto changed = apply_what_if(
      given(),
      "rtt=1ms,ram=2MiB,storage=3MiB,clock=4MHz,deadline=5ms,energy-budget=6mJ,cost-bound=7,"
      "latency-budget=8ms,objective=cost,policy=loa,server=none");
  REQUIRE_MESSAGE(changed.is_ok(), changed.status().message());
  CHECK(changed->rtt == "1ms");
  CHECK(changed->caps.ram == "2MiB");
  CHECK(changed->caps.storage == "3MiB");
  CHECK(changed->caps.clock == "4MHz");
  CHECK(changed->trade.deadline == "5ms");
  CHECK(changed->trade.energy_budget == "6mJ");
  CHECK(changed->trade.cost_bound == "7");
  CHECK(changed->trade.budget == "8ms");
  CHECK(changed->trade.objective == "cost");
  CHECK(changed->policy == "loa");
  CHECK(changed->server.empty());
  CHECK(apply_what_if(given(), "ram=none")->caps.ram.empty());
  CHECK(apply_what_if(given(), "")->server == given().server);
}

TEST_CASE("what cannot be read is refused, with what is wrong") {
  const std::pair<const char*, const char*> wrong[] = {
      {",", "is not NAME=VALUE"},
      {"server=h:1", "can only be none"},
      {"ram", "is not NAME=VALUE"},
      {"ram=1MB,", "is not NAME=VALUE"},
      {"ram=", "has no value"},
      {"=1", "no ''"},
      {"speed=1", "no 'speed'; there are bandwidth"},
      {"ram=1MB,ram=2MB", "twice"},
      {"cores=-1", "whole number"},
      {"cores=4097", "whole number"},
      {"min-split=65536", "whole number"},
      {"min-split=1.5", "whole number"},
      {"rank=best", "has no value best"},
      {"policy=x", "has no value x"},
      {"objective=latency", "has no value latency"}};
  for (const auto& [change, why] : wrong) {
    const auto& text = change;  // clang 14 captures no binding
    CAPTURE(text);
    const auto changed = apply_what_if(given(), text);
    REQUIRE_FALSE(changed.is_ok());
    CHECK(changed.status().code() == StatusCode::kInvalidArgument);
    CHECK(changed.status().message().find(why) != std::string::npos);
  }
}

}  // namespace cleave::agent
