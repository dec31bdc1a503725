// SPDX-License-Identifier: Apache-2.0
//
// Runs with several pictures in work: the same answers in the same order, names from standard
// input, and what a full queue drops.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "schemas/exit_code.h"
#include "tests/support/programs.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

std::uint64_t stat_of(const AgentRun& run, const std::string& name) {
  return stats_of(run.err).at(name);
}

struct OverlapBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::vector<std::string> pictures;

  explicit OverlapBench(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      pictures.push_back(workshop.jpeg("picture" + std::to_string(i) + ".jpg", i));
    }
  }

  [[nodiscard]] AgentRun run(const std::vector<std::string>& options) const {
    std::vector<std::string> all{"run", "--model", model, "--json", "--scores", "--stats"};
    all.insert(all.end(), options.begin(), options.end());
    all.insert(all.end(), pictures.begin(), pictures.end());
    return run_agent(all);
  }

  // The names come from a pipe, all at once.
  [[nodiscard]] AgentRun run_piped(const std::vector<std::string>& options) const {
    std::string lines;
    for (const std::string& picture : pictures) lines += picture + "\n";
    const std::string names = workshop.file("names.txt", lines);
    std::vector<std::string> all{"run", "--model", model, "--json", "--scores", "--stats"};
    all.insert(all.end(), options.begin(), options.end());
    all.emplace_back("-");
    return run_agent(all, {"sh", "-c", "cat '" + names + "' | \"$0\" \"$@\"", agent_program()});
  }
};

void check_same_answers(const AgentRun& run, const AgentRun& reference) {
  CHECK_MESSAGE(run.exit_code == 0, run.err);
  REQUIRE(run.records.size() == reference.records.size());
  for (std::size_t i = 0; i < run.records.size(); ++i) {
    CHECK(run.records[i].at("image") == reference.records[i].at("image"));
    CHECK(run.records[i].at("scores") == reference.records[i].at("scores"));
    CHECK_FALSE(run.records[i].contains("fallback"));
  }
}

}  // namespace

TEST_CASE("several pictures in work have the answers of one at a time, in the same order") {
  const OverlapBench bench(12);
  const RunningServer server({bench.model}, {"--workers", "2"});
  for (const char* split : {"0", "3", "12"}) {
    const AgentRun alone =
        bench.run({"--server", server.address(), "--split", split, "--overlap", "1"});
    REQUIRE_MESSAGE(alone.exit_code == 0, alone.err);
    REQUIRE(alone.records.size() == 12);
    CHECK(stat_of(alone, "most_in_work") == 1);
    const AgentRun overlapped =
        bench.run({"--server", server.address(), "--split", split, "--overlap", "4"});
    check_same_answers(overlapped, alone);
    CHECK(stat_of(overlapped, "most_in_work") > 1);
    const AgentRun piped = bench.run_piped({"--server", server.address(), "--split", split});
    check_same_answers(piped, alone);
  }
}

TEST_CASE(
    "a half-open connection is found out long before --timeout, and what was on it sent again") {
  const OverlapBench bench(8);
  const RunningServer server({bench.model});
  const AgentRun alone = bench.run({"--split", "all"});
  REQUIRE(alone.exit_code == 0);
  TcpRelay relay(server.port());
  std::vector<std::string> command{agent_program(), "run",      "--model", bench.model,
                                   "--json",        "--scores", "--stats", "--server",
                                   relay.address(), "--split",  "0",       "--uplink-limit",
                                   "1mbit"};  // two seconds for all of them
  command.insert(command.end(), bench.pictures.begin(), bench.pictures.end());
  const std::string errors = bench.workshop.path("errors");
  BackgroundProgram agent(command, {}, errors);
  std::vector<nlohmann::json> records{nlohmann::json::parse(agent.read_line())};
  const auto start = std::chrono::steady_clock::now();
  relay.strand_connections();
  while (records.size() < bench.pictures.size()) {
    const std::string line = agent.read_line();
    REQUIRE_FALSE(line.empty());
    records.push_back(nlohmann::json::parse(line));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(45));
  CHECK(agent.wait() == 0);
  for (std::size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].at("image") == bench.pictures[i]);
    CHECK(records[i].at("scores") == alone.records[i].at("scores"));
    CHECK_MESSAGE(!records[i].contains("fallback"), records[i].value("fallback", ""));
  }
  std::ifstream file(errors);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  CHECK(stats_of(text).at("heartbeats_missed") == 1);
  CHECK(relay.connections() == 2);
}

TEST_CASE("what a full queue drops is told, counted, and has one terminal record like all others") {
  OverlapBench bench(30);
  const RunningServer server({bench.model});
  for (const char* full : {"drop-oldest", "drop-newest"}) {
    CAPTURE(full);
    const std::string results = bench.workshop.path(std::string(full) + ".jsonl");
    const AgentRun run =
        bench.run_piped({"--server", server.address(), "--split", "0", "--uplink-limit", "4mbit",
                         "--queue", "4", "--queue-full", full, "--results", results});
    CHECK(run.exit_code == 12);               // some have no answer
    std::map<std::string, std::string> ends;  // by request id
    std::map<std::string, std::uint64_t> counts;
    std::ifstream file(results);
    for (std::string line; std::getline(file, line);) {
      const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
      REQUIRE(record.is_object());
      if (!record.contains("image")) continue;  // the log's own lines
      const std::string id = record.at("request");
      CHECK_FALSE(ends.contains(id));
      ends[id] = record.at("state");
      ++counts[record.value("reason", "answered")];
    }
    CHECK(ends.size() == 30);
    CHECK(counts["queue_full"] > 0);
    CHECK(counts["answered"] > 0);
    CHECK(counts["answered"] + counts["queue_full"] == 30);
    CHECK(stat_of(run, "queue_drops") == counts["queue_full"]);
    CHECK(run.records.size() == 30);
    const auto last = std::ranges::find_if(run.records, [&](const nlohmann::json& record) {
      return record.at("image") == bench.pictures.back();
    });
    REQUIRE(last != run.records.end());
    CHECK(last->contains("dropped") == (std::string(full) == "drop-newest"));
  }
}

TEST_CASE("standard input beside other names is a usage error") {
  const OverlapBench bench(1);
  const AgentRun run = bench.run({"-"});
  CHECK(run.exit_code == 2);
  CHECK(run.err.find("standard input") != std::string::npos);
}

TEST_CASE(
    "standard input without names ends the run, and broken output does so with a full queue") {
  const OverlapBench bench(30);
  const auto run = [&](const std::string& shell, std::vector<std::string> more) {
    std::vector<std::string> all{"run", "--model", bench.model, "--json", "--split", "all"};
    all.insert(all.end(), more.begin(), more.end());
    all.emplace_back("-");
    return run_agent(all, {"sh", "-c", shell, agent_program()});
  };
  const AgentRun nothing = run("\"$0\" \"$@\" </dev/null", {});
  CHECK_MESSAGE(nothing.exit_code == 0, nothing.err);
  CHECK(nothing.records.empty());
  std::string lines;
  for (const std::string& picture : bench.pictures) lines += picture + "\n";
  const std::string names = bench.workshop.file("many.txt", lines);
  const AgentRun broken =
      run("cat '" + names + "' | timeout 60 \"$0\" \"$@\" >/dev/full", {"--queue", "2"});
  CHECK(broken.exit_code == static_cast<int>(ExitCode::kIo));
}

}  // namespace cleave::test
