// SPDX-License-Identifier: Apache-2.0
//
// `run --results --spool`: every accepted picture ends in exactly one terminal record, whatever
// ends the server, the agent or the disk's room in between.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>

#include "schemas/exit_code.h"
#include "tests/integration/spool_station.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"
#include "tests/support/sanitized.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {

TEST_CASE("pictures wait for the server, and each is answered once it is there") {
  const Station station;
  const AgentRun alone = run_agent(station.words("127.0.0.1:1", {}, station.pictures));
  CHECK(alone.exit_code == code(ExitCode::kServerUnreachable));
  CHECK(alone.records.size() >= station.pictures.size());
  for (const auto& record : alone.records) CHECK(record.at("spooled") == true);
  CHECK(station.ended().empty());

  // Their files are no longer needed.
  for (const std::string& picture : station.pictures) std::filesystem::remove(picture);
  const RunningServer server({station.model});
  const AgentRun drained = run_agent(station.words(server.address()));
  CHECK_MESSAGE(drained.exit_code == 0, drained.err);
  REQUIRE(drained.records.size() == station.pictures.size());
  for (std::size_t i = 0; i < station.pictures.size(); ++i) {
    CHECK(drained.records[i].at("image") == station.pictures[i]);  // oldest first
    CHECK(drained.records[i].at("drained") == true);
  }
  station.check_all_answered();
  const AgentRun nothing = run_agent(station.words(server.address()));
  CHECK(nothing.exit_code == 0);
  CHECK(nothing.records.empty());
}

TEST_CASE("answers of pictures that waited are those of pictures that did not") {
  const Station station;
  CHECK(run_agent(station.words("127.0.0.1:1", {}, station.pictures)).exit_code != 0);
  const RunningServer server({station.model});
  const AgentRun drained = run_agent(station.words(server.address(), {"--scores"}));
  REQUIRE_MESSAGE(drained.exit_code == 0, drained.err);
  for (std::size_t i = 0; i < station.pictures.size(); ++i) {
    const AgentRun now =
        run_agent({"run", "--model", station.model, "--no-cache", "--server", server.address(),
                   "--split", "4", "--json", "--scores", station.pictures[i]});
    REQUIRE(now.exit_code == 0);
    CHECK(now.records.at(0).at("scores") == drained.records.at(i).at("scores"));
  }
}

TEST_CASE("an activation waits where it is smaller, and its answer is that of one that did not") {
  const Station station;
  const std::vector<std::string> large = station.large_pictures();
  const RunningServer server({station.model});
  for (const std::string codec : {"raw", "lossless", "int8"}) {
    CAPTURE(codec);
    const AgentRun now =
        run_agent({"run", "--model", station.model, "--no-cache", "--server", server.address(),
                   "--split", "4", "--codec", codec, "--json", "--scores", large[0], large[1]});
    REQUIRE_MESSAGE(now.exit_code == 0, now.err);
    const AgentRun alone =
        run_agent(station.words("127.0.0.1:1", {"--codec", codec}, {large[0], large[1]}));
    CHECK(alone.exit_code == code(ExitCode::kServerUnreachable));
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& record = alone.records.at(i);
      CHECK(record.at("spooled_as") == "activation");
      CHECK(record.at("spooled_bytes") == now.records.at(i).at("bytes_up"));
      CHECK(record.at("spooled_bytes") < std::filesystem::file_size(large[i]) / 2);
    }
    CHECK(alone.err.find("2 wait in the spool (2 as activations)") != std::string::npos);
    CHECK(station.spool_bytes() < std::filesystem::file_size(large[0]));
    const AgentRun drained = run_agent(station.words(server.address(), {"--scores"}));
    REQUIRE_MESSAGE(drained.exit_code == 0, drained.err);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& record = drained.records.at(i);
      CHECK(record.at("image") == large[i]);
      CHECK(record.at("scores") == now.records.at(i).at("scores"));
      CHECK(record.at("sent") == "tensors");
      CHECK(record.at("codec") == codec);  // whatever the draining run is told
      CHECK(record.at("split") == 4);
      CHECK(record.at("bytes_up") == now.records.at(i).at("bytes_up"));
    }
  }
}

TEST_CASE("what waited as an activation is finished on a device that has room for the rest") {
  const Station station;
  const std::string picture = station.large_pictures().front();
  CHECK(run_agent(station.words("127.0.0.1:1", {"--codec", "lossless"}, {picture})).exit_code != 0);
  const AgentRun whole = run_agent({"run", "--model", station.model, "--no-cache", "--split", "all",
                                    "--json", "--scores", picture});
  REQUIRE(whole.exit_code == 0);
  std::filesystem::remove(picture);
  const AgentRun later =
      run_agent({"run", "--model", station.model, "--no-cache", "--spool", station.spool,
                 "--results", station.results, "--json", "--scores"});
  REQUIRE_MESSAGE(later.exit_code == 0, later.err);
  CHECK(later.records.at(0).at("scores") == whole.records.at(0).at("scores"));
  CHECK(later.records.at(0).contains("fallback"));
  CHECK(station.ended().at(picture).at("state") == "answered");
}

TEST_CASE(
    "an activation of another version of the model: the file instead, as long as it is there") {
  Station station;
  const std::vector<std::string> large = station.large_pictures();
  CHECK(run_agent(station.words("127.0.0.1:1", {}, {large[0], large[1]})).exit_code != 0);
  station.model = station.workshop.zoo("mobilenet_v2", {"--input", "96", "--seed", "7"});
  std::filesystem::remove(large[1]);
  const RunningServer server({station.model});
  const AgentRun late = run_agent(station.words(server.address()));
  CHECK(late.exit_code == code(ExitCode::kPartial));
  CHECK(station.ended().at(large[0]).at("state") == "answered");
  CHECK(station.ended().at(large[1]).at("state") == "dropped");
  CHECK(station.ended().at(large[1]).at("reason") == "model_changed");
}

TEST_CASE("a picture that waits as its file is given its activation when it was tried in vain") {
  const Station station;
  const std::string picture = station.large_pictures().front();
  const AgentRun alone =
      run_agent(station.words("127.0.0.1:1", {"--spool-form", "picture"}, {picture}));
  CHECK(alone.records.at(0).at("spooled_as") == "picture");
  CHECK(alone.records.at(0).at("spooled_bytes") == std::filesystem::file_size(picture));
  const AgentRun again = run_agent(station.words("127.0.0.1:1", {"--codec", "lossless"}));
  CHECK(again.records.at(0).at("spooled_as") == "activation");
  CHECK(station.spool_bytes() < std::filesystem::file_size(picture) / 2);
  std::filesystem::remove(picture);
  const RunningServer server({station.model});
  CHECK(run_agent(station.words(server.address())).exit_code == 0);
  CHECK(station.ended().at(picture).at("state") == "answered");
}

TEST_CASE("a server that is killed and comes back in one run") {
  const Station station;
  auto server = std::make_optional<RunningServer>(std::vector<std::string>{station.model});
  const std::string address = server->address();
  std::vector<std::string> command =
      station.words(address, {"--uplink-limit", "2mbit"}, station.pictures);
  command.insert(command.begin(), agent_program());
  BackgroundProgram agent(command);
  CHECK_FALSE(agent.read_line().empty());  // the first is answered
  server->program().signal(SIGKILL);
  (void)server->program().wait();
  (void)agent.wait();
  const auto before = station.ended();
  CHECK(before.size() < station.pictures.size());
  const RunningServer again({station.model});
  const AgentRun drained = run_agent(station.words(again.address()));
  CHECK_MESSAGE(drained.exit_code == 0, drained.err);
  station.check_all_answered();
}

TEST_CASE("an agent that is killed at any moment: no picture is lost, none has two records") {
  const Station station;
  const RunningServer server({station.model});
  // Instrumented, it takes longer to begin.
  constexpr int kStepMs = kSanitized ? 50 : 12;
  for (int delay_ms = 5; delay_ms < 5 + 7 * kStepMs; delay_ms += kStepMs) {
    CAPTURE(delay_ms);
    std::filesystem::remove_all(station.spool);
    std::filesystem::remove(station.results);
    std::vector<std::string> command = station.words(server.address(), {}, station.pictures);
    command.insert(command.begin(), agent_program());
    BackgroundProgram agent(command);
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    agent.signal(SIGKILL);
    (void)agent.wait();
    const AgentRun drained = run_agent(station.words(server.address()));
    CHECK_MESSAGE(drained.exit_code == 0, drained.err);
    // Whichever were accepted have ended; the others were never taken.
    const auto records = station.ended();
    for (const auto& [name, record] : records) CHECK(record.at("state") == "answered");
    std::vector<std::string> left;
    for (const std::string& picture : station.pictures) {
      if (!records.contains(picture)) left.push_back(picture);
    }
    if (!left.empty()) {
      CHECK(run_agent(station.words(server.address(), {}, left)).exit_code == 0);
    }
    station.check_all_answered();
  }
}

TEST_CASE("what has no room, or waited too long, is dropped with its reason") {
  const Station station;
  SUBCASE("the folder's limit: the oldest go first") {
    const std::vector<std::string> large = station.large_pictures();
    const AgentRun alone = run_agent(
        station.words("127.0.0.1:1", {"--spool-limit", "1MiB", "--spool-form", "picture"}, large));
    CHECK(alone.exit_code != 0);
    const auto records = station.ended();
    REQUIRE(records.size() >= 1);
    for (const auto& [name, record] : records) {
      CHECK(record.at("state") == "dropped");
      CHECK(record.at("reason") == "spool_full");
    }
    const RunningServer server({station.model});
    CHECK(run_agent(station.words(server.address())).exit_code == 0);
    CHECK(station.ended().size() == large.size());
  }
  SUBCASE("the folder's limit: the newest go, and each is told of once") {
    const std::vector<std::string> large = station.large_pictures();
    const AgentRun alone = run_agent(station.words(
        "127.0.0.1:1",
        {"--spool-limit", "1MiB", "--spool-full", "drop-newest", "--spool-form", "picture"},
        large));
    // At the end the oldest that waits is tried once more, and told of again.
    auto records_of_run = alone.records;
    std::erase_if(records_of_run, [](const auto& record) { return record.contains("drained"); });
    REQUIRE(records_of_run.size() == large.size());
    for (std::size_t i = 0; i < large.size(); ++i) {
      CHECK(records_of_run[i].at("image") == large[i]);
      CHECK(records_of_run[i].contains("spooled") != records_of_run[i].contains("dropped"));
    }
    CHECK(records_of_run.front().contains("spooled"));
    CHECK(records_of_run.back().at("dropped") == "spool_full");
    const auto records = station.ended();
    REQUIRE(records.contains(large.back()));
    CHECK(records.at(large.back()).at("reason") == "spool_full");
  }
  SUBCASE("no copy was kept, and the file is gone: told of by name") {
    const AgentRun alone =
        run_agent(station.words("127.0.0.1:1", {"--write-budget", "1kB/hour"}, station.pictures));
    for (const auto& record : alone.records) CHECK(record.at("spooled") == true);
    for (const std::string& picture : station.pictures) std::filesystem::remove(picture);
    const RunningServer server({station.model});
    const AgentRun late = run_agent(station.words(server.address()));
    CHECK(late.exit_code != 0);
    CHECK(late.records.size() == station.pictures.size());
    for (const auto& line : late.records) CHECK(line.at("dropped") == "source_gone");
    const auto records = station.ended();
    for (const std::string& picture : station.pictures) {
      REQUIRE(records.contains(picture));
      CHECK(records.at(picture).at("reason") == "source_gone");
    }
  }
  SUBCASE("the age") {
    CHECK(run_agent(station.words("127.0.0.1:1", {}, station.pictures)).exit_code != 0);
    const RunningServer server({station.model});
    const AgentRun late = run_agent(station.words(server.address(), {"--spool-ttl", "1ms"}));
    CHECK(late.exit_code != 0);
    const auto records = station.ended();
    CHECK(records.size() == station.pictures.size());
    for (const auto& [name, record] : records) CHECK(record.at("reason") == "expired");
  }
}

namespace {

// As the kernel tells: to try it would keep out whoever comes at that moment. (The runs before left
// the file.)
bool is_locked(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return false;
  return read_whole("/proc/locks").find(":" + std::to_string(file.st_ino) + " ") !=
         std::string::npos;
}

}  // namespace

TEST_CASE("a damaged picture is refused once, and what cannot be opened is said") {
  const Station station;
  const RunningServer server({station.model});
  const std::string damaged = station.workshop.file("damaged.jpg", "\xff\xd8\xff\xe0 no picture");
  const AgentRun run = run_agent(station.words(server.address(), {}, {damaged}));
  CHECK(run.exit_code != 0);
  CHECK(run_agent(station.words(server.address())).records.empty());
  const AgentRun usage = run_agent(station.words(server.address(), {"--sync", "sometimes"}));
  CHECK(usage.exit_code == code(ExitCode::kUsage));
  RunningServer silent({station.model});
  REQUIRE(silent.program().stop());
  std::vector<std::string> words = station.words(silent.address(), {}, station.pictures);
  words.insert(words.begin(), agent_program());
  const BackgroundProgram holder(words);
  for (int i = 0; i < 2'000 && !is_locked(station.spool + "/lock"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const AgentRun second = run_agent(station.words(server.address()));
  CHECK(second.exit_code == code(ExitCode::kIo));
}

TEST_CASE("what waited is drained once the server answers, also while no further picture comes") {
  const Station station;
  const RunningServer server({station.model});
  TcpRelay relay(server.port());
  relay.refuse(true);
  std::vector<std::string> command = station.words(relay.address(), {}, {"-"});
  command.insert(command.begin(), agent_program());
  BackgroundProgram agent(command, {}, {}, StandardInput::kPipe);
  std::size_t waiting = 0;
  for (const std::string& picture : station.pictures) {
    REQUIRE(agent.write_line(picture));
    const nlohmann::json record = nlohmann::json::parse(agent.read_line(), nullptr, false);
    REQUIRE(record.is_object());
    if (!record.value("spooled", false)) break;
    if (++waiting == 1) relay.refuse(false);
    std::this_thread::sleep_for(std::chrono::seconds(1));  // a connection is not tried at once
  }
  CHECK(waiting < station.pictures.size());
  for (std::size_t i = 0; i < waiting; ++i) {
    const nlohmann::json record = nlohmann::json::parse(agent.read_line(), nullptr, false);
    REQUIRE(record.is_object());
    CHECK(record.at("drained") == true);
    CHECK(record.contains("top"));
  }
  agent.close_input();
  CHECK(agent.wait() == code(ExitCode::kPartial));  // they had to wait
}

}  // namespace cleave::test
