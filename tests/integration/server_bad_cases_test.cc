// SPDX-License-Identifier: Apache-2.0
//
// What an operator can get wrong at a server's start: each case ends with its documented exit code
// and one line that names what, where and what to do.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "schemas/exit_code.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

// A free port, so that no case depends on what else the machine runs.
Finished serve(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), server_program());
  if (std::ranges::find(arguments, "--listen") == arguments.end()) {
    arguments.insert(arguments.end(), {"--listen", "127.0.0.1:0"});
  }
  return run_program(arguments, {}, std::chrono::seconds(30));
}

void check_refused(const Finished& run, ExitCode code, const std::vector<std::string>& words) {
  CAPTURE(run.err);
  CHECK(run.exit_code == static_cast<int>(code));
  CHECK(std::ranges::count(run.err, '\n') == 1);
  CHECK(run.err.find("cleave-server: ") == 0);
  CHECK(run.out.empty());
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(run.err.find(word) != std::string::npos);
  }
}

struct ServerBadCasesBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
};

}  // namespace

TEST_CASE("no such model") {
  const Workshop workshop;
  check_refused(serve({"--model", workshop.path("no.cleave")}), ExitCode::kNotFound, {"no.cleave"});
}

TEST_CASE("a model that is none, is cut short, or has a flipped bit") {
  const ServerBadCasesBench bench;
  const std::string text = bench.workshop.file("text.cleave", "this is no model");
  check_refused(serve({"--model", text}), ExitCode::kCorruptModel, {"text.cleave"});
  const std::string bytes = read_whole(bench.model);
  const std::string half = bench.workshop.file("half.cleave", bytes.substr(0, bytes.size() / 2));
  check_refused(serve({"--model", half}), ExitCode::kCorruptModel, {"half.cleave"});
  std::string flipped = bytes;
  flipped[100] = static_cast<char>(flipped[100] ^ 0x40);
  const std::string bad = bench.workshop.file("flipped.cleave", flipped);
  check_refused(serve({"--model", bench.model, "--model", bad}), ExitCode::kCorruptModel,
                {"flipped.cleave"});
}

TEST_CASE("an address that is none") {
  const ServerBadCasesBench bench;
  for (const char* address : {"a:b:c", "127.0.0.1:port", "127.0.0.1:65536"}) {
    CAPTURE(address);
    check_refused(serve({"--model", bench.model, "--listen", address}), ExitCode::kUsage,
                  {"HOST:PORT", address});
  }
}

TEST_CASE("an address that this machine does not have") {
  const ServerBadCasesBench bench;
  check_refused(serve({"--model", bench.model, "--listen", "192.0.2.1:7433"}),
                ExitCode::kPortUnavailable, {"192.0.2.1:7433", "--listen"});
}

TEST_CASE("the same model twice, under two names") {
  const ServerBadCasesBench bench;
  const std::string copy = bench.workshop.file("copy.cleave", read_whole(bench.model));
  check_refused(serve({"--model", bench.model, "--model", copy}), ExitCode::kUsage,
                {"copy.cleave", "twice"});
}

TEST_CASE("a payload budget that the largest request would never fit") {
  const ServerBadCasesBench bench;
  check_refused(serve({"--model", bench.model, "--payload-budget", "1"}), ExitCode::kUsage,
                {"--payload-budget", "--max-picture"});
}

TEST_CASE("a heartbeat that no round trip over a slow link would keep to") {
  const Workshop workshop;
  const std::string config = workshop.file("server.conf", "heartbeat = 500\n");
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--heartbeat", "1"},
                                             {"--heartbeat", "999"},
                                             {"--heartbeat", "600001"},
                                             {"--heartbeat", "-1"},
                                             {"--config", config}}) {
    std::vector<std::string> arguments{"--model", workshop.path("no.cleave")};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    const Finished run = serve(arguments);
    CAPTURE(run.err);
    CHECK(run.exit_code == static_cast<int>(ExitCode::kUsage));
    CHECK(run.err.find("--heartbeat: ") == 0);
    CHECK(run.err.find("0 or in [1000 - 600000] ms") != std::string::npos);
  }
  for (const char* right : {"0", "1000", "600000"}) {
    CAPTURE(right);  // what is found wrong is the model then
    check_refused(serve({"--model", workshop.path("no.cleave"), "--heartbeat", right}),
                  ExitCode::kNotFound, {"no.cleave"});
  }
}

}  // namespace cleave::test
