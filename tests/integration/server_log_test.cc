// SPDX-License-Identifier: Apache-2.0
//
// What an operator sees of a server: a line for each event, and its counters when asked for and at
// the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/support/programs.h"

namespace cleave::test {
namespace {

using nlohmann::json;

// The lines so far that have `text` in them.
std::vector<std::string> lines_in(const std::string& log_path, const std::string& text) {
  std::ifstream log(log_path);
  std::vector<std::string> found;
  for (std::string line; std::getline(log, line);) {
    if (line.find(text) != std::string::npos) found.push_back(line);
  }
  return found;
}

std::string await_line_in(const std::string& log_path, const std::string& text) {
  for (int i = 0; i < 3'000; ++i) {
    const auto found = lines_in(log_path, text);
    if (!found.empty()) return found.front();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL("no line about " << text);
  return "";
}

struct LoggingServer {
  explicit LoggingServer(const Workshop& workshop, const std::vector<std::string>& options = {})
      : log_path(workshop.path("server.log")) {
    const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
    std::vector<std::string> command{server_program(), "--model",     model,       "--json",
                                     "--listen",       "127.0.0.1:0", "--no-cache"};
    command.insert(command.end(), options.begin(), options.end());
    program = std::make_unique<BackgroundProgram>(command, Environment{}, log_path);
    address = json::parse(program->read_line()).at("address");
    picture = workshop.jpeg("picture.jpg", 1);
    ask = {"run", "--model", model, "--server", address, "--split", "0", "--json", picture};
  }

  // The lines so far that are about `event`.
  [[nodiscard]] std::vector<std::string> lines(const std::string& event) const {
    return lines_in(log_path, event);
  }
  [[nodiscard]] std::string await_line(const std::string& event) const {
    return await_line_in(log_path, event);
  }
  // SIGTERM; the `stopped` event.
  json stop() {
    program->signal(SIGTERM);
    const json stopped = json::parse(program->read_line());
    CHECK(program->wait() == 0);
    return stopped;
  }

  std::string log_path, address, picture;
  std::unique_ptr<BackgroundProgram> program;
  std::vector<std::string> ask;
};

}  // namespace

TEST_CASE("each request is found in the log by session, device and id") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--log-json", "--log-level", "debug"});
  REQUIRE(run_agent(server.ask).exit_code == 0);
  const json welcome = json::parse(server.await_line("\"welcome\""));
  const json answered = json::parse(server.await_line("\"answered\""));
  CHECK(welcome.at("level") == "info");
  CHECK(welcome.at("version") == 2);
  CHECK(welcome.at("model") == "mobilenet_v2");
  CHECK(answered.at("session") == welcome.at("session"));
  CHECK(answered.at("device") == welcome.at("device"));
  CHECK(std::stoull(answered.at("request").get<std::string>()) > 0);
  CHECK(json::parse(server.await_line("\"closed\"")).at("session") == welcome.at("session"));
  CHECK(answered.at("residence_ns").get<std::uint64_t>() >=
        answered.at("compute_ns").get<std::uint64_t>());
  server.stop();
  std::ifstream log(server.log_path);
  for (std::string line; std::getline(log, line);) CHECK(json::accept(line));
}

TEST_CASE("the logs of agent and server, its records and its results name the same requests") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--log-json", "--log-level", "debug"});
  const std::string results = workshop.path("results.jsonl");
  const std::string log = workshop.path("agent.log");
  auto ask = server.ask;
  ask.insert(ask.end(), {"--results", results, "--log", log, "--log-level", "debug"});
  const AgentRun run = run_agent(ask);
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const json& record = run.records.at(0);
  const json at_server = json::parse(server.await_line("\"answered\""));
  const std::string wire_id = at_server.at("request");
  CHECK(record.at("wire_id") == wire_id);
  const json result = json::parse(await_line_in(results, "\"answered\""));
  CHECK(result.at("wire_id") == wire_id);
  CHECK(result.at("request") == record.at("request"));
  for (const char* event :
       {R"("event":"asking")", R"("event":"answer")", R"("event":"answered")"}) {
    CAPTURE(event);
    const auto lines = lines_in(log, event);
    REQUIRE(lines.size() == 1);
    const json line = json::parse(lines[0]);
    CHECK(line.at("wire_id") == wire_id);
    if (line.contains("image")) CHECK(line.at("request") == record.at("request"));
  }
  const json connected = json::parse(await_line_in(log, "\"connected\""));
  CHECK(connected.at("session") == at_server.at("session"));
  CHECK(json::parse(await_line_in(log, "\"started\"")).at("device") == at_server.at("device"));
  const json counters = json::parse(await_line_in(log, R"("event":"counters")"));
  CHECK(counters.at("asked") == 1);
  CHECK(counters.at("answers") == 1);
  CHECK(counters.at("answered") == 1);
  for (const std::string& line : lines_in(log, "")) CHECK(json::accept(line));
  server.stop();
}

TEST_CASE("what the server turns down is in both logs under one id, and what became of it") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--device-rate", "1"});
  const std::string log = workshop.path("agent.log");
  auto ask = server.ask;
  ask.insert(ask.end(), {server.picture, server.picture, "--log", log, "--stats"});
  const AgentRun run = run_agent(ask);
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const json busy = json::parse(await_line_in(log, "\"busy\""));
  const std::string wire_id = busy.at("wire_id");
  CHECK(server.lines("event=busy").at(0).find(" request=" + wire_id + " ") != std::string::npos);
  CHECK(busy.at("retry_after_ms") > 0);
  const auto ends = lines_in(log, "\"fell_back\"");
  const auto its_end = std::ranges::find_if(ends, [&](const std::string& line) {
    return json::parse(line).value("wire_id", "") == wire_id;
  });
  REQUIRE(its_end != ends.end());
  CHECK(its_end->find("more requests a second") != std::string::npos);
  const json stats = stats_of(run.err);
  CHECK(stats.at("busy") >= 1);
  CHECK(stats.at("fallbacks") >= 1);
  CHECK(stats.at("asked") == stats.at("answers").get<int>() + stats.at("busy").get<int>() +
                                 stats.at("refused").get<int>() + stats.at("cancelled").get<int>() +
                                 stats.at("broken_off").get<int>());
}

TEST_CASE("an idle agent gives signs of life; one that vanishes is noticed within heartbeats") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--heartbeat", "1000"});
  std::vector<std::string> command{agent_program()};
  command.insert(command.end(), server.ask.begin(), server.ask.end() - 1);
  command.emplace_back("-");
  BackgroundProgram agent(command, {}, {}, StandardInput::kPipe);
  REQUIRE(agent.write_line(server.picture));
  CHECK(json::parse(agent.read_line()).contains("sent"));
  std::this_thread::sleep_for(std::chrono::seconds(5));  // more than three heartbeats
  CHECK(server.lines("event=half_open").empty());
  CHECK(server.lines("event=closed").empty());
  REQUIRE(agent.stop());
  const auto start = std::chrono::steady_clock::now();
  CHECK(server.await_line("event=half_open").find(" device=") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));  // idle: 60
  agent.signal(SIGCONT);
  REQUIRE(agent.write_line(server.picture));
  CHECK(json::parse(agent.read_line()).contains("sent"));
  agent.close_input();
  CHECK(agent.wait() == 0);
  const json stopped = server.stop();
  CHECK(stopped.at("half_open") == 1);
  CHECK(stopped.at("answers") == 2);
}

TEST_CASE("--drain-timeout: what is still on its way then is closed, counted and named") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--drain-timeout", "1"});
  const std::string log = workshop.path("agent.log");
  std::vector<std::string> command{agent_program()};
  command.insert(command.end(), server.ask.begin(), server.ask.end());
  command.insert(command.end(), {"--uplink-limit", "32kbit", "--log", log, "--log-level", "debug"});
  BackgroundProgram agent(command);
  const json asking = json::parse(await_line_in(log, "\"asking\""));
  for (int i = 0; i < 600 && server.lines(" requests=1 ").empty(); ++i) {
    server.program->signal(SIGUSR1);  // its first bytes are there once it is counted
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto start = std::chrono::steady_clock::now();
  const json stopped = server.stop();  // and it ends with 0
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(900));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(8));
  CHECK(stopped.at("requests") == 1);
  CHECK(stopped.at("unanswered") == 1);
  CHECK(server.lines("event=drain_timeout").size() == 1);
  const std::string wire_id = asking.at("wire_id");
  CHECK(server.await_line("event=unanswered").find(" request=" + wire_id + " ") !=
        std::string::npos);
  const json record = json::parse(agent.read_line());
  CHECK(record.contains("fallback"));
  CHECK(record.at("wire_id") == wire_id);
  CHECK(agent.wait() == 0);
}

TEST_CASE("SIGUSR1 and the end tell every counter") {
  const Workshop workshop;
  LoggingServer server(workshop);
  REQUIRE(run_agent(server.ask).exit_code == 0);
  server.program->signal(SIGUSR1);
  const std::string counters = server.await_line("event=counters");
  CHECK(counters.find(" level=info ") != std::string::npos);
  CHECK(counters.find(" answers=1 ") != std::string::npos);
  CHECK(counters.find(" refused_address_rate=0 ") != std::string::npos);
  const json stopped = server.stop();
  CHECK(stopped.at("event") == "stopped");
  for (const char* name : {"answers", "requests", "sessions", "connections"}) {
    CAPTURE(name);
    CHECK(stopped.at(name) == 1);
  }
  for (const auto& [name, value] : stopped.items()) {
    if (name != "event") CHECK(counters.find(" " + name + "=") != std::string::npos);
  }
  CHECK(server.lines("event=counters").size() == 2);
  CHECK(server.lines("event=shutting_down").size() == 1);
}

TEST_CASE("a limit that is hit is in the log, with who hit it, and counted") {
  const Workshop workshop;
  LoggingServer server(workshop, {"--device-rate", "1"});
  auto ask = server.ask;
  ask.insert(ask.end(), {server.picture, server.picture});
  REQUIRE(run_agent(ask).exit_code == 0);  // on the device, what the server does not take
  const std::string busy = server.await_line("event=busy");
  CHECK(busy.find(" session=") != std::string::npos);
  CHECK(busy.find(" device=") != std::string::npos);
  CHECK(busy.find(" request=") != std::string::npos);
  CHECK(busy.find("why=\"the device sends more requests a second than it may\"") !=
        std::string::npos);
  CHECK(server.stop().at("busy_device_rate").get<int>() >= 1);
}

}  // namespace cleave::test
