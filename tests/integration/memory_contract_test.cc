// SPDX-License-Identifier: Apache-2.0
//
// --ram is a contract, also when the server is gone and the device finishes alone: the agent keeps
// its peak resident memory within the cap, or gives no answer.
#include <doctest/doctest.h>

#include "schemas/exit_code.h"
#include "tests/support/programs.h"

namespace cleave::test {

TEST_CASE("without its server the agent stays within --ram or refuses") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2");
  const AgentRun profiled = run_agent({"profile", "--model", model, "--runs", "1", "--json"});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json plan = run_agent({"plan", "--model", model, "--json"}).records.at(0);
  const std::uint64_t whole = plan.at("splits").back().at("ram_bytes");
  for (const std::string& picture : {workshop.jpeg("small.jpg", 1), workshop.png("p.png", 2)}) {
    for (const char* split : {"0", "4", "10", "18", "all", "auto"}) {
      bool answered = false, refused = false;
      for (const std::uint64_t percent : {60, 90, 100, 102, 106, 112, 118, 125, 135, 150}) {
        const std::uint64_t cap = whole * percent / 100;
        const Finished run =
            run_program({agent_program(), "run", "--model", model, "--server", "127.0.0.1:1",
                         "--split", split, "--ram", std::to_string(cap), "--json", picture});
        CAPTURE(picture);
        CAPTURE(split);
        CAPTURE(percent);
        CAPTURE(run.err);
        if (run.exit_code == 0) {
          answered = true;
          CHECK(run.peak_rss_bytes <= cap);
        } else {
          refused = true;
          CHECK((run.exit_code == static_cast<int>(ExitCode::kServerUnreachable) ||
                 run.exit_code == static_cast<int>(ExitCode::kCapTooSmall)));
        }
      }
      CAPTURE(split);
      CHECK(answered);
      CHECK(refused);
    }
  }
}

TEST_CASE("measuring a network larger than --ram stays within it, also where weights are mapped") {
  // Weights of fully connected layers are read from the file in place; they are nine tenths here.
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--classes", "10"});
  const nlohmann::json plan = run_agent({"plan", "--model", model, "--json"}).records.at(0);
  const nlohmann::json& splits = plan.at("splits");
  const std::uint64_t whole = splits.back().at("ram_bytes");
  // What the largest op needs with everything before it.
  std::uint64_t cap = 0;
  for (std::size_t i = 1, most = 0; i < splits.size(); ++i) {
    const std::uint64_t before = splits[i - 1].at("ram_bytes");
    const std::uint64_t bytes = splits[i].at("ram_bytes");
    if (bytes <= before + most) continue;
    most = bytes - before;
    cap = bytes;
  }
  REQUIRE(cap + 50'000'000 < whole);
  const RunningServer server({model});
  const Finished run = run_program({agent_program(), "run", "--model", model, "--server",
                                    server.address(), "--split", "auto", "--ram",
                                    std::to_string(cap), "--json", workshop.jpeg("small.jpg", 1)});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.err.find("measuring this device") != std::string::npos);
  CHECK_FALSE(nlohmann::json::parse(run.out).contains("fallback"));
  CHECK(run.peak_rss_bytes <= cap);
}

}  // namespace cleave::test
