// SPDX-License-Identifier: Apache-2.0
//
// `cleave-agent fetch`: a model, or the head of one, from a server; and what can be done with it.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "schemas/exit_code.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

std::vector<std::string> fetch_words(const std::string& address, const std::string& folder,
                                     std::vector<std::string> more = {}) {
  std::vector<std::string> words{"fetch", "--server", address,  "--output",
                                 folder,  "--json",   "--name", "mobilenet_v2"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

nlohmann::json scores_of(const std::string& model, const std::string& server,
                         const std::string& split, const std::string& picture) {
  const AgentRun run = run_agent({"run", "--model", model, "--no-cache", "--server", server,
                                  "--split", split, "--json", "--scores", picture});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK_FALSE(run.records.at(0).contains("fallback"));
  return run.records.at(0).at("scores");
}

std::vector<std::string> segments_of(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".segment") paths.push_back(entry.path());
  }
  return paths;
}

}  // namespace

TEST_CASE("a device fetches a head, runs it, and more when it is told to") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--width", "0.25", "--input", "96"});
  const std::string picture = workshop.jpeg("p.jpg", 1);
  const RunningServer server({model});
  const std::string folder = workshop.path("held");
  const nlohmann::json expected = scores_of(model, server.address(), "all", picture);

  const AgentRun head = run_agent(fetch_words(server.address(), folder, {"--split", "5"}));
  REQUIRE_MESSAGE(head.exit_code == 0, head.err);
  CHECK(head.records.at(0).at("held_split") == 5);
  CHECK(head.records.at(0).at("whole") == false);
  CHECK(head.records.at(0).at("stored_bytes").get<std::uint64_t>() <
        std::filesystem::file_size(model) / 2);
  CHECK(scores_of(folder, server.address(), "5", picture) == expected);
  CHECK(scores_of(folder, server.address(), "0", picture) == expected);

  SUBCASE("what needs the whole network says so") {
    const Finished calibration =
        run_program({import_program(), "calibrate-codec", folder, workshop.path("c.cleave"),
                     "--pictures", workshop.path(".")});
    CHECK(calibration.exit_code == code(ExitCode::kNotFound));
    CHECK(calibration.err.find("only a part") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(workshop.path("c.cleave")));
  }
  SUBCASE("deeper splits are not there") {
    const AgentRun deeper = run_agent({"run", "--model", folder, "--no-cache", "--server",
                                       server.address(), "--split", "6", picture});
    CHECK(deeper.exit_code == code(ExitCode::kNotFound));
    CHECK(deeper.err.find("cleave-agent fetch") != std::string::npos);
    const AgentRun plan = run_agent({"plan", "--model", folder, "--no-cache", "--server",
                                     server.address(), "--bandwidth", "1mbit", "--json"});
    REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
    for (const auto& row : plan.records.at(0).at("splits")) {
      CAPTURE(row.at("split").get<int>());
      CHECK(row.at("feasible") == (row.at("split") <= 5));
    }
  }
  SUBCASE("without a server it cannot finish alone, and says why") {
    const AgentRun alone = run_agent({"run", "--model", folder, "--no-cache", "--server",
                                      "127.0.0.1:1", "--split", "5", "--json", picture});
    CHECK(alone.exit_code == code(ExitCode::kServerUnreachable));
    CHECK(alone.err.find("weights of the rest are not on this device") != std::string::npos);
  }
  SUBCASE("the rest comes later, and only the rest") {
    const AgentRun rest = run_agent(fetch_words(server.address(), folder, {"--split", "all"}));
    REQUIRE_MESSAGE(rest.exit_code == 0, rest.err);
    CHECK(rest.records.at(0).at("whole") == true);
    CHECK(rest.records.at(0).at("received_bytes").get<std::uint64_t>() +
              head.records.at(0).at("received_bytes").get<std::uint64_t>() <
          std::filesystem::file_size(model));
    CHECK(scores_of(folder, "127.0.0.1:1", "all", picture) == expected);
    const AgentRun doctor = run_agent({"doctor", "--model", folder, "--verify", "--json"});
    CHECK(doctor.exit_code == 0);
    const AgentRun again = run_agent(fetch_words(server.address(), folder, {"--split", "all"}));
    CHECK(again.records.at(0).at("received_bytes") == 0);
  }
  SUBCASE("a segment that was damaged since is found by doctor --verify") {
    std::fstream file(segments_of(folder).at(0), std::ios::binary | std::ios::in | std::ios::out);
    const auto old = static_cast<char>(file.get());
    file.seekp(0);
    file.put(static_cast<char>(old ^ 1));
    file.close();
    const Finished doctor = run_program({agent_program(), "doctor", "--model", folder, "--verify"});
    CHECK(doctor.exit_code == code(ExitCode::kCorruptModel));
  }
}

TEST_CASE("--storage is a cap on what is fetched") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  const RunningServer server({model});
  const std::string folder = workshop.path("held");
  constexpr std::uint64_t kCap = 2'000'000;
  const AgentRun bounded = run_agent(
      fetch_words(server.address(), folder, {"--no-cache", "--storage", std::to_string(kCap)}));
  REQUIRE_MESSAGE(bounded.exit_code == 0, bounded.err);
  const nlohmann::json& held = bounded.records.at(0);
  CHECK(held.at("bounded_by_storage") == true);
  CHECK(held.at("stored_bytes").get<std::uint64_t>() <= kCap);
  const int split = held.at("held_split");
  CHECK(split > 3);
  // One layer more does not fit, and what is there stays as it is.
  const AgentRun refused = run_agent(fetch_words(
      server.address(), folder,
      {"--no-cache", "--storage", std::to_string(kCap), "--split", std::to_string(split + 1)}));
  CHECK(refused.exit_code == code(ExitCode::kCapTooSmall));
  CHECK(refused.err.find("--storage") != std::string::npos);
  const AgentRun same = run_agent(
      fetch_words(server.address(), folder, {"--no-cache", "--storage", std::to_string(kCap)}));
  CHECK(same.records.at(0).at("held_split") == split);
  CHECK(same.records.at(0).at("received_bytes") == 0);
}

TEST_CASE("what cannot be fetched is said clearly") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--width", "0.25", "--input", "96"});
  const RunningServer server({model});
  const std::string folder = workshop.path("held");
  const auto fetch = [&](const std::string& address, const std::string& what,
                         const std::string& value) {
    return run_agent({"fetch", "--server", address, "--output", folder, what, value});
  };
  const AgentRun no_such = fetch(server.address(), "--name", "resnet");
  CHECK(no_such.exit_code == code(ExitCode::kModelMismatch));
  CHECK(no_such.err.find("resnet") != std::string::npos);
  const AgentRun no_identity = fetch(server.address(), "--model-id", std::string(64, 'a'));
  CHECK(no_identity.exit_code == code(ExitCode::kNotFound));
  CHECK(fetch(server.address(), "--model-id", "xyz").exit_code == code(ExitCode::kUsage));
  CHECK(fetch("127.0.0.1:1", "--name", "mobilenet_v2").exit_code ==
        code(ExitCode::kServerUnreachable));
  // Nor is anything left behind, where there was nothing.
  CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("a fetch that is killed goes on where it was") {
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--classes", "10"});
  const std::string picture = workshop.jpeg("p.jpg", 1);
  const RunningServer server({model});
  const std::string folder = workshop.path("held");
  std::vector<std::string> words{agent_program(), "fetch", "--server", server.address(),
                                 "--output",      folder,  "--name",   "alexnet",
                                 "--split",       "all",   "--json"};
  std::uint64_t before = 0;
  for (int kills = 0; kills < 3; ++kills) {
    BackgroundProgram program(words);
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 40 * kills));
    program.signal(SIGKILL);
    (void)program.wait();
    std::uint64_t bytes = 0;
    if (std::filesystem::exists(folder)) {
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        bytes += entry.file_size();
      }
    }
    CHECK(bytes >= before);
    before = bytes;
  }
  const AgentRun last = run_agent({words.begin() + 1, words.end()});
  REQUIRE_MESSAGE(last.exit_code == 0, last.err);
  CHECK(last.records.at(0).at("whole") == true);
  CHECK(last.records.at(0).at("received_bytes").get<std::uint64_t>() <
        std::filesystem::file_size(model));
  CHECK(scores_of(folder, "127.0.0.1:1", "all", picture) ==
        scores_of(model, server.address(), "all", picture));
}

}  // namespace cleave::test
