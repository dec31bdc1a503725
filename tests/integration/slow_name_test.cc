// SPDX-License-Identifier: Apache-2.0
//
// A name server that does not reply: the picture is answered at the connect deadline, and the
// program ends without waiting for the look-up.
#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/support/programs.h"

namespace cleave::test {

TEST_CASE("a look-up that hangs for a minute holds up no answer and no end") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  const std::string picture = workshop.jpeg("picture.jpg", 1);
  struct Case {
    std::vector<std::string> options;
    std::chrono::seconds at_least, below;
  };
  using std::chrono::seconds;
  for (const Case& one :
       {Case{{"--timeout", "1s"}, seconds(1), seconds(4)}, Case{{}, seconds(5), seconds(9)}}) {
    std::vector<std::string> command{agent_program(), "run",     "--model", model,   "--server",
                                     "slow.example",  "--split", "4",       "--json"};
    command.insert(command.end(), one.options.begin(), one.options.end());
    command.push_back(picture);
    const auto start = std::chrono::steady_clock::now();
    const Finished run = run_program(command, {"LD_PRELOAD=" CLEAVE_SLOW_LOOKUP});
    const auto spent = std::chrono::steady_clock::now() - start;
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    CHECK(spent >= one.at_least);
    CHECK(spent < one.below);
    const auto record = nlohmann::json::parse(run.out);
    CHECK(record.at("fallback").get<std::string>().find("looking up") != std::string::npos);
    CHECK(record.at("total_ns").get<std::uint64_t>() < 9'000'000'000U);
  }
}

}  // namespace cleave::test
