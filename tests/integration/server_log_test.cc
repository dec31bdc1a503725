// SPDX-License-Identifier: Apache-2.0
//
// What an operator sees of a server: a line for each event, and its counters when asked for and at
// the end.
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/support/programs.h"

namespace cleave::test {
namespace {

using nlohmann::json;

struct LoggingServer {
  explicit LoggingServer(const Workshop& workshop, const std::vector<std::string>& options = {})
      : log_path(workshop.path("server.log")) {
    const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
    std::vector<std::string> command{"/bin/sh",
                                     "-c",
                                     "exec \"$@\" 2>" + log_path,
                                     "sh",
                                     server_program(),
                                     "--model",
                                     model,
                                     "--json",
                                     "--listen",
                                     "127.0.0.1:0",
                                     "--no-cache"};
    command.insert(command.end(), options.begin(), options.end());
    program = std::make_unique<BackgroundProgram>(command);
    address = json::parse(program->read_line()).at("address");
    picture = workshop.jpeg("picture.jpg", 1);
    ask = {"run", "--model", model, "--server", address, "--split", "0", "--json", picture};
  }

  // The lines so far that are about `event`.
  [[nodiscard]] std::vector<std::string> lines(const std::string& event) const {
    std::ifstream log(log_path);
    std::vector<std::string> found;
    for (std::string line; std::getline(log, line);) {
      if (line.find(event) != std::string::npos) found.push_back(line);
    }
    return found;
  }
  [[nodiscard]] std::string await_line(const std::string& event) const {
    for (int i = 0; i < 500; ++i) {
      const auto found = lines(event);
      if (!found.empty()) return found.front();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL("no line about " << event);
    return "";
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
  CHECK(answered.at("request").get<std::uint64_t>() > 0);
  CHECK(json::parse(server.await_line("\"closed\"")).at("session") == welcome.at("session"));
  CHECK(answered.at("residence_ns").get<std::uint64_t>() >=
        answered.at("compute_ns").get<std::uint64_t>());
  server.stop();
  std::ifstream log(server.log_path);
  for (std::string line; std::getline(log, line);) CHECK(json::accept(line));
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
