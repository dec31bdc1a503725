// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM: a run ends after the pictures in work, and no line is lost.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/integration/spool_station.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

void await_text(const std::string& log_path, const std::string& text) {
  for (int i = 0; i < 3'000; ++i) {
    std::ifstream file(log_path);
    const std::string log((std::istreambuf_iterator<char>(file)), {});
    if (log.find(text) != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL("the log does not tell of " << text);
}

}  // namespace

TEST_CASE("SIGTERM ends a run after the picture under way") {
  const Station station;
  const RunningServer server({station.model});
  std::vector<std::string> command =
      station.words(server.address(), {"--uplink-limit", "1mbit"}, station.pictures);
  command.insert(command.begin(), agent_program());
  BackgroundProgram agent(command);
  CHECK_FALSE(agent.read_line().empty());
  agent.signal(SIGTERM);
  CHECK(agent.wait() == 0);
  const auto records = station.ended();
  CHECK(records.size() >= 1);
  CHECK(records.size() < station.pictures.size());
  for (const auto& [name, record] : records) CHECK(record.at("state") == "answered");
  CHECK(run_agent(station.words(server.address())).records.empty());  // nothing waits
}

TEST_CASE("SIGTERM while the output is not read: no line is lost") {
  const Station station;
  // More than a pipe holds, so that the agent waits in the middle of a line.
  std::vector<std::string> images;
  for (int i = 0; i < 12; ++i) {
    images.insert(images.end(), station.pictures.begin(), station.pictures.end());
  }
  const RunningServer server({station.model});
  std::vector<std::string> command = station.words(server.address(), {"--scores"}, images);
  command.insert(command.begin(), agent_program());
  BackgroundProgram agent(command);
  std::size_t records = 0;
  for (int i = 0; i < 200; ++i) {
    const std::size_t before = std::exchange(records, station.ended_count());
    if (records > 0 && records == before) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  REQUIRE(records < images.size());
  agent.signal(SIGTERM);
  std::size_t lines = 0;
  for (std::string line = agent.read_line(); !line.empty(); line = agent.read_line()) {
    CHECK(nlohmann::json::parse(line, nullptr, false).is_object());
    ++lines;
  }
  CHECK(agent.wait() == 0);
  CHECK(lines == station.ended_count());
}

TEST_CASE("SIGTERM while the server hangs: the pictures in work are the last, within --timeout") {
  const Station station;
  RunningServer server({station.model});
  REQUIRE(server.program().stop());
  const std::string log = station.workshop.path("agent.log");
  const auto start_agent = [&](const std::string& timeout, bool with_results) {
    auto words =
        station.words(server.address(), {"--timeout", timeout, "--log", log}, station.pictures);
    if (!with_results) {
      const auto spool = std::ranges::find(words, "--spool");
      words.erase(spool, spool + 4);
    }
    words.insert(words.begin(), agent_program());
    auto agent = std::make_unique<BackgroundProgram>(words);
    await_text(log, "started");
    // Its handlers are there, and a picture is in work.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return agent;
  };
  SUBCASE("with a spool they wait there") {
    const auto agent = start_agent("2s", true);
    const auto start = std::chrono::steady_clock::now();
    agent->signal(SIGTERM);
    CHECK(agent->wait(std::chrono::seconds(15)) != 128 + SIGTERM);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(12));
    server.program().signal(SIGCONT);
    const AgentRun rest = run_agent(station.words(server.address()));
    CHECK(rest.exit_code == 0);
    CHECK(rest.records.size() >= 1);
    CHECK(rest.records.size() < station.pictures.size());
    for (const auto& record : rest.records) CHECK(record.value("drained", false));
    CHECK(station.ended().size() == rest.records.size());
  }
  SUBCASE("without results they are told") {
    const auto agent = start_agent("2s", false);
    agent->signal(SIGTERM);
    std::size_t records = 0;
    for (std::string line = agent->read_line(); !line.empty(); line = agent->read_line()) {
      CHECK(nlohmann::json::parse(line).contains("error"));
      ++records;
    }
    CHECK(records >= 1);
    CHECK(records < station.pictures.size());
    CHECK(agent->wait(std::chrono::seconds(15)) == 8);
  }
  SUBCASE("a second one ends at once") {
    const auto agent = start_agent("60s", true);
    agent->signal(SIGTERM);
    await_text(log, "stopping");
    CHECK_FALSE(agent->poll_exit().has_value());
    agent->signal(SIGTERM);
    CHECK(agent->wait(std::chrono::seconds(15)) == 128 + SIGTERM);
    server.program().signal(SIGCONT);
    CHECK(run_agent(station.words(server.address(), {}, station.pictures)).exit_code == 0);
    station.check_all_answered();
  }
}

TEST_CASE("without a spool nothing is said of one") {
  const Station station;
  const RunningServer server({station.model});
  auto words = station.words(server.address(), {}, {station.pictures[0]});
  const auto spool = std::ranges::find(words, "--spool");
  words.erase(spool, spool + 2);
  const AgentRun run = run_agent(words);
  CHECK(run.exit_code == 0);
  CHECK(run.err.find("1 answered") != std::string::npos);
  CHECK(run.err.find("spool") == std::string::npos);
}

}  // namespace cleave::test
