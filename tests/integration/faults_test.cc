// SPDX-License-Identifier: Apache-2.0
//
// Servers and links that go away: no picture is lost, and every answer is the right one.
#include <doctest/doctest.h>
#include <signal.h>

#include <map>
#include <thread>

#include "tests/support/programs.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

struct Bench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::vector<std::string> pictures;
  std::map<std::string, nlohmann::json> expected;  // scores of the unsplit run, by picture

  explicit Bench(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      pictures.push_back(workshop.jpeg("picture" + std::to_string(i) + ".jpg", i));
    }
    for (const nlohmann::json& record : run({"--split", "all"}).records) {
      expected[record.at("image")] = record.at("scores");
    }
    REQUIRE(expected.size() == count);
  }

  [[nodiscard]] AgentRun run(std::vector<std::string> options) const {
    options.insert(options.begin(), {"run", "--model", model, "--json", "--scores"});
    options.insert(options.end(), pictures.begin(), pictures.end());
    return run_agent(options);
  }

  void check_all_right(const AgentRun& run) const {
    CHECK_MESSAGE(run.exit_code == 0, run.err);
    REQUIRE(run.records.size() == pictures.size());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CHECK(run.records[i].at("image") == pictures[i]);
      CHECK(run.records[i].at("scores") == expected.at(pictures[i]));
    }
  }
};

}  // namespace

TEST_CASE("a server killed in the middle of a run: the device answers the rest") {
  const Bench bench(30);
  RunningServer server({bench.model});
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    server.program().signal(SIGKILL);
  });
  // 96 px pictures at split 0 are about 30 kB each: a second and more of link for the run.
  const AgentRun run =
      bench.run({"--server", server.address(), "--split", "0", "--uplink-limit", "4mbit"});
  killer.join();
  bench.check_all_right(run);
  CHECK(run.records.front().at("split") == 0);
  CHECK(run.records.back().contains("fallback"));
}

TEST_CASE("a connection cut in the middle of each frame: the device answers") {
  const Bench bench(3);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.cut_after(2000);
  const AgentRun run = bench.run({"--server", relay.address(), "--split", "3"});
  bench.check_all_right(run);
  for (const nlohmann::json& record : run.records) CHECK(record.contains("fallback"));
}

TEST_CASE("a link that comes back is used again") {
  // Enough to be at work still when the link is back and the pause before the next try is over.
  const Bench bench(100);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.cut_after(2000);
  std::thread mender([&] {
    while (relay.connections() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    relay.cut_after(-1);
  });
  const AgentRun run =
      bench.run({"--server", relay.address(), "--split", "3", "--uplink-limit", "20mbit"});
  mender.join();
  bench.check_all_right(run);
  CHECK(run.records.front().contains("fallback"));
  CHECK_FALSE(run.records.back().contains("fallback"));
}

TEST_CASE("a connection closed under the agent is made anew at once, without a fallback") {
  const Bench bench(20);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    relay.close_connections();
  });
  const AgentRun run =
      bench.run({"--server", relay.address(), "--split", "0", "--uplink-limit", "8mbit"});
  closer.join();
  bench.check_all_right(run);
  CHECK(relay.connections() == 2);
  for (const nlohmann::json& record : run.records) CHECK_FALSE(record.contains("fallback"));
}

TEST_CASE("SIGTERM without any agent, at once and twice, ends with 0") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  RunningServer idle({model});
  idle.program().signal(SIGTERM);
  CHECK(idle.program().wait() == 0);
  RunningServer twice({model});
  twice.program().signal(SIGTERM);
  twice.program().signal(SIGTERM);
  CHECK(twice.program().wait() == 0);
}

TEST_CASE("SIGTERM: what is under way is answered, then the server ends with 0") {
  const Bench bench(20);
  RunningServer server({bench.model});
  std::thread terminator([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    server.program().signal(SIGTERM);
  });
  const AgentRun run =
      bench.run({"--server", server.address(), "--split", "0", "--uplink-limit", "4mbit"});
  terminator.join();
  bench.check_all_right(run);
  CHECK(server.program().wait() == 0);
}

TEST_CASE("SIGTERM ends a server without connections at once") {
  const Bench bench(1);
  RunningServer server({bench.model});
  server.program().signal(SIGTERM);
  CHECK(server.program().wait(std::chrono::seconds(8)) == 0);
}

TEST_CASE("many agents at once all get the right answers") {
  const Bench bench(4);
  const RunningServer server({bench.model}, {"--workers", "2"});
  std::vector<std::thread> agents;
  std::vector<AgentRun> runs(8);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    agents.emplace_back([&, i] {
      runs[i] = bench.run({"--server", server.address(), "--split", std::to_string(i)});
    });
  }
  for (std::thread& agent : agents) agent.join();
  for (const AgentRun& run : runs) bench.check_all_right(run);
}

}  // namespace cleave::test
