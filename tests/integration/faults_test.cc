// SPDX-License-Identifier: Apache-2.0
//
// Servers and links that go away: no picture is lost, and every answer is the right one.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "tests/support/programs.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

bool on_device_alone(const nlohmann::json& record) { return record.contains("fallback"); }

// Waits for what a test does next; fails the test when it does not come.
void wait_until(const std::function<bool()>& reached) {
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!reached()) {
    REQUIRE(std::chrono::steady_clock::now() < latest);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// An agent at work, whose records can be seen as they come.
class LiveAgent {
 public:
  explicit LiveAgent(const std::vector<std::string>& command) : program_(command) {}

  // Reads until `count` records were seen.
  void read_records(std::size_t count) {
    while (run_.records.size() < count) REQUIRE(read_record());
  }
  [[nodiscard]] const std::vector<nlohmann::json>& records() const { return run_.records; }

  // Reads the rest and waits for the end.
  AgentRun finish() {
    while (read_record()) {
    }
    run_.exit_code = program_.wait();
    return run_;
  }

 private:
  bool read_record() {
    const std::string line = program_.read_line();
    if (line.empty()) return false;
    run_.records.push_back(nlohmann::json::parse(line));
    return true;
  }

  BackgroundProgram program_;
  AgentRun run_;
};

struct FaultsBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  std::vector<std::string> pictures;
  std::map<std::string, nlohmann::json> expected;  // scores of the unsplit run, by picture

  explicit FaultsBench(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      pictures.push_back(workshop.jpeg("picture" + std::to_string(i) + ".jpg", i));
    }
    for (const nlohmann::json& record : run({"--split", "all"}).records) {
      expected[record.at("image")] = record.at("scores");
    }
    REQUIRE(expected.size() == count);
  }

  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& options) const {
    std::vector<std::string> all{"run", "--model", model, "--json", "--scores"};
    all.insert(all.end(), options.begin(), options.end());
    all.insert(all.end(), pictures.begin(), pictures.end());
    return all;
  }
  [[nodiscard]] AgentRun run(const std::vector<std::string>& options) const {
    return run_agent(arguments(options));
  }
  [[nodiscard]] LiveAgent start(const std::vector<std::string>& options) const {
    std::vector<std::string> command = arguments(options);
    command.insert(command.begin(), agent_program());
    return LiveAgent(command);
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

// A 96 px picture's JPEG is sent in a quarter of a second at this rate: whatever is done after some
// of its bytes were seen is done while it is under way.
constexpr const char* kSlowUplink = "1mbit";
constexpr std::uint64_t kPartOfPicture = 8'000;

// Bytes of the first `count` pictures at split 0.
std::uint64_t bytes_of(const FaultsBench& bench, const RunningServer& server, std::size_t count) {
  const AgentRun run = bench.run({"--server", server.address(), "--split", "0"});
  REQUIRE(run.records.size() >= count);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bytes += run.records[i].at("bytes_up").get<std::uint64_t>();
  }
  return bytes;
}

}  // namespace

TEST_CASE("a server killed while a picture is on its way: the device answers that and the rest") {
  const FaultsBench bench(12);
  RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.hold_after(bytes_of(bench, server, 4) + kPartOfPicture);
  LiveAgent agent = bench.start({"--server", relay.address(), "--split", "0"});
  wait_until([&] { return relay.is_holding(); });
  server.program().signal(SIGKILL);
  relay.release();
  const AgentRun run = agent.finish();
  bench.check_all_right(run);
  // The fifth was begun with the third and the fourth not answered yet.
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(run.records[i].at("split") == 0);
    CHECK_FALSE(on_device_alone(run.records[i]));
  }
  CHECK(std::ranges::count_if(run.records, on_device_alone) >= 8);
  CHECK(std::ranges::is_partitioned(run.records, std::not_fn(on_device_alone)));
}

TEST_CASE("a connection cut in the middle of each frame: the device answers") {
  const FaultsBench bench(3);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.cut_after(2000);
  const AgentRun run = bench.run({"--server", relay.address(), "--split", "3"});
  bench.check_all_right(run);
  CHECK(relay.connections() >= 1);
  for (const nlohmann::json& record : run.records) CHECK(on_device_alone(record));
}

TEST_CASE("a link that comes back is used again") {
  // Enough to be at work still when the pause before the next try is over.
  const FaultsBench bench(100);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.cut_after(2000);
  LiveAgent agent =
      bench.start({"--server", relay.address(), "--split", "3", "--uplink-limit", "20mbit"});
  agent.read_records(1);
  relay.cut_after(-1);
  const AgentRun run = agent.finish();
  bench.check_all_right(run);
  CHECK(on_device_alone(run.records.front()));
  CHECK_FALSE(on_device_alone(run.records.back()));
}

TEST_CASE("a connection closed under the agent is made anew at once, without a fallback") {
  const FaultsBench bench(12);
  const RunningServer server({bench.model});
  TcpRelay relay(server.port());
  relay.hold_after(bytes_of(bench, server, 4) + kPartOfPicture);
  LiveAgent agent = bench.start({"--server", relay.address(), "--split", "0"});
  wait_until([&] { return relay.is_holding(); });
  CHECK(relay.connections() == 1);
  relay.close_connections();
  wait_until([&] { return relay.connections() == 2; });
  relay.release();
  const AgentRun run = agent.finish();
  bench.check_all_right(run);
  CHECK(relay.connections() == 2);
  for (const nlohmann::json& record : run.records) CHECK_FALSE(on_device_alone(record));
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

TEST_CASE("SIGTERM in a storm, whenever the next one comes, ends with 0") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  for (int round = 0; round < 5; ++round) {
    RunningServer server({model});
    wait_until([&] {
      for (int i = 0; i < 100; ++i) server.program().signal(SIGTERM);
      return !server.program().is_running();
    });
    CHECK(server.program().wait() == 0);
  }
}

TEST_CASE("SIGTERM: what is under way is answered, then the server ends with 0") {
  const FaultsBench bench(12);
  RunningServer server({bench.model});
  TcpRelay relay(server.port());
  LiveAgent agent =
      bench.start({"--server", relay.address(), "--split", "0", "--uplink-limit", kSlowUplink});
  agent.read_records(3);
  const std::uint64_t sent = relay.bytes_up();
  wait_until([&] { return relay.bytes_up() > sent + kPartOfPicture; });
  server.program().signal(SIGTERM);
  const AgentRun run = agent.finish();
  bench.check_all_right(run);
  // The fourth was on its way.
  for (std::size_t i = 0; i < 4; ++i) CHECK_FALSE(on_device_alone(run.records[i]));
  CHECK(on_device_alone(run.records.back()));
  const nlohmann::json stopped = nlohmann::json::parse(server.program().read_line());
  CHECK(stopped.at("event") == "stopped");
  const auto answered = std::ranges::count_if(run.records, std::not_fn(on_device_alone));
  CHECK(stopped.at("answers") == answered);
  // One that the agent began before it heard of the end was turned down.
  const auto ends = [&](const char* counter) { return stopped.at(counter).get<std::uint64_t>(); };
  CHECK(ends("requests") == ends("answers") + ends("busy_shutting_down") + ends("unanswered"));
  CHECK(ends("errors") == 0);
  CHECK(server.program().wait() == 0);
}

TEST_CASE("SIGTERM ends a server without connections at once") {
  const FaultsBench bench(1);
  RunningServer server({bench.model});
  server.program().signal(SIGTERM);
  CHECK(server.program().wait(std::chrono::seconds(8)) == 0);
}

TEST_CASE("many agents at once all get the right answers") {
  const FaultsBench bench(4);
  const RunningServer server({bench.model}, {"--workers", "2"});
  std::vector<std::thread> agents;
  std::vector<AgentRun> runs(8);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    agents.emplace_back([&, i] {
      runs[i] = bench.run({"--server", server.address(), "--split", std::to_string(i)});
    });
  }
  for (std::thread& agent : agents) agent.join();
  for (const AgentRun& run : runs) {
    bench.check_all_right(run);
    for (const nlohmann::json& record : run.records) CHECK_FALSE(on_device_alone(record));
  }
}

}  // namespace cleave::test
