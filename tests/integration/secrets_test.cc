// SPDX-License-Identifier: Apache-2.0
//
// Neither private keys nor tokens are in anything that agent and server print or log.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/integration/trust_bench.h"

namespace cleave::test {
namespace {

// The lines of a private key, or the token.
Words secrets_in_file(const std::string& path) {
  Words secrets;
  std::istringstream lines(read_whole(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.size() >= 20 && line.find("-----") == std::string::npos) secrets.push_back(line);
  }
  return secrets;
}

// Those of all such files of this folder.
Words secrets_in(const std::string& folder) {
  Words secrets;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string kind = entry.path().extension().string();
    if (kind == ".key" || kind == ".token") {
      secrets = secrets + secrets_in_file(entry.path().string());
    }
  }
  return secrets;
}

void write_private(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
  REQUIRE(chmod(path.c_str(), 0600) == 0);
}

// A server whose every word is kept.
class QuotedServer {
 public:
  explicit QuotedServer(const TrustBench& bench)
      : log_(bench.workshop.path("server.log")),
        program_(Words{server_program(), "--listen", "127.0.0.1:0", "--log-level", "debug",
                       "--model", bench.model, "--tokens", bench.file("tokens")} +
                     bench.server_options(),
                 {}, log_),
        said_(program_.read_line()),
        address_(nlohmann::json::parse(said_).at("address").get<std::string>()) {}

  [[nodiscard]] const std::string& address() const { return address_; }
  // Sends the signal, and waits until the log says so once more.
  void signal(int number, const std::string& event) {
    const std::size_t before = count(event);
    program_.signal(number);
    for (int i = 0; i < 1'000 && count(event) == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK_MESSAGE(count(event) == before + 1, event);
  }
  // Ends it; all that it said.
  std::string end() {
    program_.signal(SIGTERM);
    said_ += program_.read_line();
    CHECK(program_.wait() == 0);
    return said_ + read_whole(log_);
  }

 private:
  [[nodiscard]] std::size_t count(const std::string& event) const {
    const std::string text = read_whole(log_);
    std::size_t count = 0;
    for (std::size_t at = text.find(event); at != std::string::npos;
         at = text.find(event, at + 1)) {
      ++count;
    }
    return count;
  }

  const std::string log_;
  BackgroundProgram program_;
  std::string said_;
  const std::string address_;
};

}  // namespace

TEST_CASE("in all that server and agent say of runs that go well or badly there is no secret") {
  const TrustBench bench;
  bench.tool({"token", "cam 1"});
  bench.tool({"token", "cam 2"});
  const Words secrets = secrets_in(bench.workshop.path("ca"));
  const std::string token = secrets_in_file(bench.file("cam_1.token")).at(0);
  const std::string tokens = read_whole(bench.file("tokens"));
  const std::string key = read_whole(bench.file("127.0.0.1.key"));
  std::string said;
  const auto run = [&](const Words& command) {
    const Finished finished = run_program(command, {}, std::chrono::seconds(60));
    said += finished.out + finished.err;
    return finished.exit_code;
  };
  QuotedServer server(bench);
  const auto ask = [&](const Words& options) {
    return run(Words{agent_program(), "run", "--model", bench.model, "--server", server.address(),
                     "--split", "3", "--json", "--stats", "--no-cache", "--log", "-", "--log-level",
                     "debug"} +
               options + Words{bench.picture});
  };
  const Words believed{"--tls-ca", bench.file("ca.crt")};
  const Words certificate = believed + Words{"--tls-cert", bench.file("gate_2.crt"), "--tls-key"};
  const Words as_cam_1 = believed + Words{"--device", "cam 1", "--token-file"};
  CHECK(ask(bench.device()) == 0);
  CHECK(ask(as_cam_1 + Words{bench.file("cam_1.token")}) == 0);
  CHECK(run(Words{agent_program(), "fetch", "--server", server.address(), "--name", "mobilenet_v2",
                  "--output", bench.workshop.path("fetched"), "--json"} +
            bench.device()) == 0);
  CHECK(ask(as_cam_1 + Words{bench.file("cam_2.token")}) == code(ExitCode::kModelMismatch));
  CHECK(ask(believed) == code(ExitCode::kModelMismatch));
  CHECK(ask({}) == 0);  // not over TLS: the device does it alone
  // What is mistaken for something else.
  CHECK(ask(certificate + Words{bench.file("127.0.0.1.key")}) != 0);
  CHECK(ask(certificate + Words{bench.file("cam_1.token")}) != 0);
  CHECK(ask(as_cam_1 + Words{bench.file("gate_2.key")}) != 0);
  server.signal(SIGHUP, "reloaded");
  write_private(bench.file("tokens"), "cam 1 " + token + "\n");  // no hash, and the wrong way round
  server.signal(SIGHUP, "not_reloaded");
  write_private(bench.file("tokens"), tokens);
  write_private(bench.file("127.0.0.1.key"), key.substr(0, key.size() / 2));
  server.signal(SIGHUP, "not_reloaded");
  server.signal(SIGUSR1, "counters");
  const std::string at_server = server.end();
  CHECK(run(Words{server_program(), "--model", bench.model, "--log-level", "debug"} +
            bench.server_options()) != 0);

  // Both logs were whole, to their smallest events.
  for (const char* event : {"welcome", "answered", "closed", "refused", "tls_failed"}) {
    CHECK_MESSAGE(at_server.find(event) != std::string::npos, event);
  }
  for (const char* event : {"started", "connected", "connect_failed", "asking", "counters"}) {
    CHECK_MESSAGE(said.find("\"event\":\"" + std::string(event)) != std::string::npos, event);
  }
  CHECK(secrets.size() >= 8);
  for (const std::string& secret : secrets) {
    CHECK((said + at_server).find(secret.substr(0, 20)) == std::string::npos);
  }
}

}  // namespace cleave::test
