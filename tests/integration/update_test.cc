// SPDX-License-Identifier: Apache-2.0
//
// `cleave-agent update`: a new version is taken when its self-test passes on the device, and never
// otherwise; whatever moment the device dies at, the model folder has a version that runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "engine/importer/importer.h"
#include "schemas/exit_code.h"
#include "schemas/model_folder.h"
#include "schemas/model_preamble.h"
#include "schemas/model_reader.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"
#include "tests/support/sanitized.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

using std::chrono::milliseconds;

// Versions of one network, all with a self-test.
class Releases {
 public:
  std::string release(const std::string& name, std::uint64_t seed) const {
    auto graph =
        importer::make_zoo_model("mobilenet_v2", {.input = 64, .width = 0.25, .seed = seed});
    REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
    const std::vector<std::byte> onnx = to_bytes(to_onnx(*graph));
    const std::string source = workshop.path(name + ".onnx");
    std::ofstream(source, std::ios::binary)
        .write(reinterpret_cast<const char*>(onnx.data()),
               static_cast<std::streamsize>(onnx.size()));
    const std::string model = workshop.path(name + ".cleave");
    const Finished imported = run_program({import_program(), "import", source, model, "--mean",
                                           "127.5", "--std", "127.5", "--self-test", picture});
    REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
    return model;
  }

  // A copy whose self-test asks for another score than the network gives.
  std::string spoil_self_test(const std::string& model) const {
    std::size_t place = 0, header_bytes = 0;
    {
      const auto file = ModelFile::open(model);
      REQUIRE(file.is_ok());
      const auto* scores = (*file)->header().self_test()->scores()->data();
      place = kModelPreambleBytes +
              static_cast<std::size_t>(reinterpret_cast<const std::byte*>(scores) -
                                       (*file)->header_bytes().data());
      header_bytes = (*file)->header_bytes().size();
    }
    std::ifstream in(model, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    float score = 0;
    std::memcpy(&score, bytes.data() + place, sizeof(score));
    score += 1;
    std::memcpy(bytes.data() + place, &score, sizeof(score));
    const auto identity =
        sha256(std::as_bytes(std::span(bytes)).subspan(kModelPreambleBytes, header_bytes));
    REQUIRE(identity.is_ok());
    std::memcpy(bytes.data() + 32, identity->data(), identity->size());
    return workshop.file("spoiled.cleave", bytes);
  }

  void fetch(const RunningServer& server, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"fetch", "--server", server.address(), "--output",
                                   folder,  "--name",   "test",           "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const AgentRun run = run_agent(words);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  }

  [[nodiscard]] std::vector<std::string> update_words(
      const RunningServer& server, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"update",   "--model",        folder,
                                   "--server", server.address(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  [[nodiscard]] nlohmann::json scores(const std::string& model, const RunningServer& server,
                                      const std::string& split) const {
    const AgentRun run =
        run_agent({"run", "--model", model, "--no-cache", "--server", server.address(), "--split",
                   split, "--json", "--scores", picture});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    CHECK_FALSE(run.records.at(0).contains("fallback"));
    return run.records.at(0).at("scores");
  }

  Workshop workshop;
  std::string folder = workshop.path("held");
  std::string picture = workshop.jpeg("picture.jpg", 2);
};

std::string identity_of(const std::string& model) {
  const auto file = ModelFile::open(model);
  REQUIRE(file.is_ok());
  return to_hex((*file)->identity());
}

// Two of them, a server that has the first, and one on which the second is current.
struct TwoReleases : Releases {
  std::string first = release("first", 1), second = release("second", 2);
  RunningServer before{{first}};
  RunningServer server{{first, second}};  // the last of a name is current

  // As a device leaves the folder that died in the second release's self-test.
  void leave_trial(std::uint32_t starts) const {
    auto state = read_model_folder_state(folder);
    REQUIRE_MESSAGE(state.is_ok(), state.status().message());
    const auto file = ModelFile::open(second);
    REQUIRE(file.is_ok());
    state->trial = {.identity = (*file)->identity(), .starts = starts};
    REQUIRE(write_model_folder_state(folder, *state).is_ok());
  }

  [[nodiscard]] AgentRun update(const std::vector<std::string>& more = {}) const {
    return run_agent(update_words(server, more));
  }
  // The folder's version is this one, and answers as it does.
  void check_holds(const std::string& model, const std::string& split = "all") const {
    CHECK(identity_of(folder) == identity_of(model));
    CHECK(scores(folder, server, split) == scores(model, server, split));
  }
};

}  // namespace

TEST_CASE("a new version is taken, gone back from, and then only taken again when told to") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  CHECK(run_agent(releases.update_words(releases.before)).records.at(0).at("outcome") ==
        "up_to_date");

  const AgentRun update = releases.update();
  REQUIRE_MESSAGE(update.exit_code == 0, update.err);
  CHECK(update.records.at(0).at("outcome") == "switched");
  CHECK(update.records.at(0).at("identity") == identity_of(releases.second));
  releases.check_holds(releases.second);

  const AgentRun back = run_agent({"update", "--model", releases.folder, "--rollback", "--json"});
  REQUIRE_MESSAGE(back.exit_code == 0, back.err);
  releases.check_holds(releases.first);
  CHECK(releases.update().exit_code == code(ExitCode::kSelfTestFailed));
  CHECK(identity_of(releases.folder) == identity_of(releases.first));
  CHECK(releases.update({"--retry-refused"}).exit_code == 0);
  CHECK(identity_of(releases.folder) == identity_of(releases.second));
}

TEST_CASE("a version whose self-test fails is not taken, nor fetched again") {
  const Releases releases;
  const std::string first = releases.release("first", 1);
  const std::string bad = releases.spoil_self_test(releases.release("second", 2));
  const RunningServer before({first});
  const RunningServer server({first, bad});
  for (const char* split : {"all", "4"}) {  // tested here, and with the server
    CAPTURE(split);
    std::filesystem::remove_all(releases.folder);
    releases.fetch(before, {"--split", split});
    const AgentRun update = run_agent(releases.update_words(server));
    CHECK(update.exit_code == code(ExitCode::kSelfTestFailed));
    CHECK(update.records.at(0).at("outcome") == "refused");
    CHECK(update.err.find("other scores") != std::string::npos);
    CHECK(update.records.at(0).at("received_bytes") > 0);
    CHECK(identity_of(releases.folder) == identity_of(first));
    CHECK(releases.scores(releases.folder, server, split) == releases.scores(first, server, split));
    const AgentRun again = run_agent(releases.update_words(server));
    CHECK(again.exit_code == code(ExitCode::kSelfTestFailed));
    CHECK(again.records.at(0).at("received_bytes") == 0);
  }
}

TEST_CASE("a device that holds a head takes the new head, tested with the server") {
  const TwoReleases releases;
  releases.fetch(releases.before, {"--split", "5"});
  const AgentRun update = releases.update();
  REQUIRE_MESSAGE(update.exit_code == 0, update.err);
  CHECK(update.records.at(0).at("received_bytes").get<std::uint64_t>() <
        std::filesystem::file_size(releases.second) / 2);
  releases.check_holds(releases.second, "5");
}

TEST_CASE("a self-test that reaches a server without the new version says nothing against it") {
  const TwoReleases releases;
  releases.fetch(releases.before, {"--split", "5"});
  TcpRelay relay(releases.server.port());
  relay.hold_after(0);  // until what comes after the fetch goes elsewhere
  {
    const std::jthread turn([&] {
      while (relay.open_connections() == 0) std::this_thread::sleep_for(milliseconds(1));
      relay.forward_to(releases.before.port());
      relay.release();
    });
    std::vector<std::string> words = releases.update_words(releases.server);
    *std::ranges::find(words, releases.server.address()) = relay.address();
    const AgentRun update = run_agent(words);
    CHECK(update.exit_code == code(ExitCode::kModelMismatch));
    CHECK_MESSAGE(update.err.find("self-test") != std::string::npos, update.err);
  }
  CHECK(relay.connections() == 2);
  const auto state = read_model_folder_state(releases.folder);
  REQUIRE(state.is_ok());
  CHECK(state->refused.empty());
  CHECK_FALSE(state->trial.has_value());
  const AgentRun next = releases.update();
  REQUIRE_MESSAGE(next.exit_code == 0, next.err);
  CHECK(next.records.at(0).at("outcome") == "switched");
  CHECK(next.records.at(0).at("received_bytes") == 0);  // it has been fetched
}

TEST_CASE("--storage is a cap on both versions together") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  const auto held = model_folder_bytes(releases.folder);
  REQUIRE(held.is_ok());
  const auto update_within = [&](std::uint64_t bytes) {
    return releases.update({"--storage", std::to_string(bytes)});
  };
  for (const std::uint64_t more : {std::uint64_t{0}, std::uint64_t{1'000}, *held / 2}) {
    CAPTURE(more);
    const AgentRun refused = update_within(*held + more);
    CHECK(refused.exit_code == code(ExitCode::kCapTooSmall));
    CHECK(refused.err.find("--storage") != std::string::npos);
    CHECK(*model_folder_bytes(releases.folder) <= *held + more);
    releases.check_holds(releases.first);
  }
  const AgentRun taken = update_within(2 * *held + 10'000);
  CHECK_MESSAGE(taken.exit_code == 0, taken.err);
  CHECK(identity_of(releases.folder) == identity_of(releases.second));
}

TEST_CASE("under a cap that holds two versions one update follows another") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  const std::string cap = std::to_string(2 * *model_folder_bytes(releases.folder) + 10'000);
  // As an update leaves it that was never ended.
  std::ofstream(model_segment_path(releases.folder, {}) + ".tmp-1") << std::string(20'000, 'x');
  std::ofstream(model_part_path(releases.folder, {})) << std::string(20'000, 'x');
  std::vector<std::string> versions{releases.first, releases.second};
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    if (i > 0) versions.push_back(releases.release("later" + std::to_string(i), 2 + i));
    const RunningServer server({versions});
    const AgentRun update = run_agent(releases.update_words(server, {"--storage", cap}));
    REQUIRE_MESSAGE(update.exit_code == 0, update.err);
    CHECK(update.records.at(0).at("outcome") == "switched");
    CHECK(identity_of(releases.folder) == identity_of(versions.back()));
    const auto& dropped = update.records.at(0).at("dropped_previous");
    CHECK(dropped.is_null() == (i == 0));
    if (i > 0) CHECK(dropped == identity_of(versions.at(versions.size() - 3)));
    CHECK((update.err.find("storage cap") != std::string::npos) == (i > 0));
    CHECK(*model_folder_bytes(releases.folder) <= std::stoull(cap));
  }
  // One for which there is no room in any case costs nothing.
  const RunningServer server({releases.first});
  const std::string tight = std::to_string(*model_folder_bytes(releases.folder) / 2);
  CHECK(run_agent(releases.update_words(server, {"--storage", tight})).exit_code ==
        code(ExitCode::kCapTooSmall));
  CHECK(read_model_folder_state(releases.folder)->previous.has_value());
  CHECK(run_agent({"update", "--model", releases.folder, "--rollback", "--json"}).exit_code == 0);
  CHECK(identity_of(releases.folder) == identity_of(versions.at(versions.size() - 2)));
}

TEST_CASE("a self-test that was begun twice and never ended is not begun a third time") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  releases.leave_trial(2);
  const AgentRun refused = releases.update();
  CHECK(refused.exit_code == code(ExitCode::kSelfTestFailed));
  CHECK(refused.records.at(0).at("outcome") == "refused");
  CHECK(refused.err.find("begun before and never ended") != std::string::npos);
  releases.check_holds(releases.first);
  // It stays refused.
  CHECK(releases.update().exit_code == code(ExitCode::kSelfTestFailed));
}

TEST_CASE("a self-test that never ended is begun again") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  std::vector<std::string> words;
  SUBCASE("after one start") { releases.leave_trial(1); }
  SUBCASE("after two starts, where somebody says so") {
    releases.leave_trial(2);
    words = {"--retry-refused"};
  }
  SUBCASE("after two starts and a refusal, where somebody says so") {
    releases.leave_trial(2);
    CHECK(releases.update().exit_code == code(ExitCode::kSelfTestFailed));
    words = {"--retry-refused"};
  }
  const AgentRun taken = releases.update(words);
  CHECK_MESSAGE(taken.exit_code == 0, taken.err);
  CHECK(identity_of(releases.folder) == identity_of(releases.second));
  const auto state = read_model_folder_state(releases.folder);
  REQUIRE(state.is_ok());
  CHECK_FALSE(state->trial.has_value());
  CHECK(state->refused.empty());
}

TEST_CASE("killed at any moment, an update leaves a version that runs") {
  const TwoReleases releases;
  releases.fetch(releases.before);
  const std::string identities[] = {identity_of(releases.first), identity_of(releases.second)};
  bool switched = false;
  // Instrumented, it takes longer to begin.
  constexpr int kStepMs = kSanitized ? 24 : 4;
  for (int delay_ms = 0; delay_ms < 15 * kStepMs && !switched; delay_ms += kStepMs) {
    std::vector<std::string> words = releases.update_words(releases.server, {"--retry-refused"});
    words.insert(words.begin(), agent_program());
    BackgroundProgram program(words);
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    program.signal(SIGKILL);
    (void)program.wait();
    CAPTURE(delay_ms);
    const std::string now = identity_of(releases.folder);
    CHECK((now == identities[0] || now == identities[1]));
    const std::string& model = now == identities[0] ? releases.first : releases.second;
    switched = now == identities[1];
    releases.check_holds(model);
  }
  const AgentRun last = releases.update({"--retry-refused"});
  CHECK_MESSAGE(last.exit_code == 0, last.err);
  CHECK(identity_of(releases.folder) == identities[1]);
}

}  // namespace cleave::test
