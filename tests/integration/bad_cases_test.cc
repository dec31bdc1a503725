// SPDX-License-Identifier: Apache-2.0
//
// What a user can get wrong: each case ends with its documented exit code and one line that names
// what, where and what to do.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "schemas/exit_code.h"
#include "tests/support/program_words.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

void check_refused(const AgentRun& run, ExitCode code, const std::string& words) {
  CAPTURE(run.err);
  CHECK(run.exit_code == static_cast<int>(code));
  CHECK(std::ranges::count(run.err, '\n') == 1);
  CHECK(run.err.find("cleave-agent: ") == 0);
  CHECK(run.err.find(words) != std::string::npos);
}

struct BadCasesBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  std::string picture = workshop.jpeg("picture.jpg", 1);
};

}  // namespace

TEST_CASE("no such picture") {
  const BadCasesBench bench;
  check_refused(
      run_agent({"run", "--model", bench.model, "--split", "all", bench.workshop.path("no.jpg")}),
      ExitCode::kNotFound, "no.jpg");
}

TEST_CASE("a folder without pictures") {
  const BadCasesBench bench;
  const Workshop empty;
  check_refused(run_agent({"run", "--model", bench.model, "--split", "all", empty.path("")}),
                ExitCode::kNotFound, "no .jpg");
}

TEST_CASE("not a picture, and a damaged one") {
  const BadCasesBench bench;
  const std::string text = bench.workshop.file("text.jpg", "this is no picture");
  check_refused(run_agent({"run", "--model", bench.model, "--split", "all", "--json", text}),
                ExitCode::kBadInput, "text.jpg");
  const std::string whole = read_whole(bench.picture);
  const std::string half = bench.workshop.file("half.jpg", whole.substr(0, whole.size() / 2));
  check_refused(run_agent({"run", "--model", bench.model, "--split", "all", "--json", half}),
                ExitCode::kBadInput, "half.jpg");
}

TEST_CASE("a damaged picture on the server is the picture's fault, and the next one is answered") {
  const BadCasesBench bench;
  const RunningServer server({bench.model});
  const std::string whole = read_whole(bench.picture);
  const std::string half = bench.workshop.file("half.jpg", whole.substr(0, whole.size() / 2));
  const AgentRun run = run_agent({"run", "--model", bench.model, "--server", server.address(),
                                  "--split", "0", "--json", half, bench.picture});
  CHECK(run.exit_code == static_cast<int>(ExitCode::kPartial));
  REQUIRE(run.records.size() == 2);
  CHECK(run.records[0].contains("error"));
  CHECK(run.records[1].at("split") == 0);
  CHECK_FALSE(run.records[1].contains("fallback"));
}

TEST_CASE("no such model, a corrupt one, one cut short") {
  const BadCasesBench bench;
  check_refused(run_agent({"run", "--model", bench.workshop.path("no.cleave"), bench.picture}),
                ExitCode::kNotFound, "no.cleave");
  check_refused(run_agent({"run", "--model", bench.picture, bench.picture}),
                ExitCode::kCorruptModel, "picture.jpg");
  const std::string bytes = read_whole(bench.model);
  const std::string half = bench.workshop.file("half.cleave", bytes.substr(0, bytes.size() / 2));
  check_refused(run_agent({"run", "--model", half, bench.picture}), ExitCode::kCorruptModel,
                "half.cleave");
  std::string flipped = bytes;
  flipped[100] = static_cast<char>(flipped[100] ^ 0x40);
  const std::string bad = bench.workshop.file("flipped.cleave", flipped);
  check_refused(run_agent({"run", "--model", bad, bench.picture}), ExitCode::kCorruptModel,
                "flipped.cleave");
}

TEST_CASE("the server holds another model") {
  const BadCasesBench bench;
  const Workshop other;
  const RunningServer server(
      {other.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35", "--seed", "2"})});
  for (const char* split : {"4", "0"}) {
    check_refused(run_agent({"run", "--model", bench.model, "--server", server.address(), "--split",
                             split, "--json", bench.picture}),
                  ExitCode::kModelMismatch, "does not hold");
  }
  // Each picture named ends in one record.
  const std::string second = bench.workshop.jpeg("second.jpg", 2);
  const AgentRun run = run_agent({"run", "--model", bench.model, "--server", server.address(),
                                  "--split", "4", "--json", bench.picture, second, bench.picture});
  check_refused(run, ExitCode::kModelMismatch, "does not hold");
  REQUIRE(run.records.size() == 3);
  CHECK(run.records[1].at("image") == second);
  for (const nlohmann::json& record : run.records) {
    CHECK(record.at("error") == run.records[0].at("error"));
    CHECK(record.at("error_code") == run.records[0].at("error_code"));
  }
}

TEST_CASE("server unreachable") {
  const BadCasesBench bench;
  // With room for the network the device answers and says so.
  const AgentRun alone = run_agent({"run", "--model", bench.model, "--server", "127.0.0.1:1",
                                    "--split", "4", "--json", bench.picture});
  CHECK(alone.exit_code == 0);
  REQUIRE(alone.records.size() == 1);
  CHECK(alone.records[0].contains("fallback"));
  // Without, there is no answer.
  REQUIRE(run_agent({"profile", "--model", bench.model, "--runs", "1", "--json"}).exit_code == 0);
  const nlohmann::json plan = run_agent({"plan", "--model", bench.model, "--json"}).records.at(0);
  const std::uint64_t head = plan.at("splits").at(4).at("ram_bytes");
  const std::uint64_t all = plan.at("splits").back().at("ram_bytes");
  REQUIRE(head < all);
  const AgentRun capped =
      run_agent({"run", "--model", bench.model, "--server", "127.0.0.1:1", "--split", "4", "--ram",
                 std::to_string((head + all) / 2), "--json", bench.picture});
  check_refused(capped, ExitCode::kServerUnreachable, "127.0.0.1:1");
  // Planned or run by a plan: with the server there would be a split, so it is the server's
  // absence.
  for (const char* command : {"plan", "run"}) {
    CAPTURE(command);
    std::vector<std::string> arguments = {command,
                                          "--model",
                                          bench.model,
                                          "--server",
                                          "127.0.0.1:1",
                                          "--ram",
                                          std::to_string((head + all) / 2),
                                          "--json",
                                          bench.picture};
    check_refused(run_agent(arguments), ExitCode::kServerUnreachable, "127.0.0.1:1");
    arguments[6] = "1kB";
    CHECK(run_agent(arguments).exit_code == static_cast<int>(ExitCode::kCapTooSmall));
  }
}

TEST_CASE("split out of range") {
  const BadCasesBench bench;
  for (const char* split : {"22", "op:9999", "no_such_layer", "-1"}) {
    const AgentRun run =
        run_agent({"run", "--model", bench.model, std::string("--split=") + split, bench.picture});
    CAPTURE(split);
    CAPTURE(run.err);
    CHECK(run.exit_code == static_cast<int>(ExitCode::kSplitOutOfRange));
    CHECK(std::ranges::count(run.err, '\n') == 1);
  }
}

TEST_CASE("cap too small for any split") {
  const BadCasesBench bench;
  check_refused(
      run_agent({"run", "--model", bench.model, "--ram", "1kB", "--split", "4", bench.picture}),
      ExitCode::kCapTooSmall, "cap");
  const AgentRun planned = run_agent({"plan", "--model", bench.model, "--ram", "1kB", "--json"});
  CHECK(planned.exit_code == static_cast<int>(ExitCode::kCapTooSmall));
  CHECK(planned.records.at(0).at("choice").is_null());
}

TEST_CASE("a fixed split keeps the privacy floor and the storage cap") {
  const BadCasesBench bench;
  check_refused(run_agent({"run", "--model", bench.model, "--server", "127.0.0.1:1", "--split", "2",
                           "--min-split", "5", bench.picture}),
                ExitCode::kCapTooSmall, "--min-split");
  check_refused(run_agent({"run", "--model", bench.model, "--split", "all", "--storage", "1kB",
                           bench.picture}),
                ExitCode::kCapTooSmall, "storage");
}

TEST_CASE("caps that no planned split fits") {
  const BadCasesBench bench;
  REQUIRE(run_agent({"profile", "--model", bench.model, "--runs", "1", "--json"}).exit_code == 0);
  check_refused(run_agent({"run", "--model", bench.model, "--ram", "1kB", "--json", bench.picture}),
                ExitCode::kCapTooSmall, "RAM");
}

TEST_CASE("a variant that the model does not have") {
  const BadCasesBench bench;
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"profile", "--model", bench.model}, {"plan", "--model", bench.model}}) {
    CAPTURE(command[0]);
    std::vector<std::string> wrong = command;
    wrong.insert(wrong.end(), {"--variant", "int3"});
    check_refused(run_agent(wrong), ExitCode::kNotFound, "'int3', only f32");
    std::vector<std::string> right = command;
    right.insert(right.end(), {"--variant", "f32", "--json"});
    CHECK(run_agent(right).exit_code == 0);
  }
}

TEST_CASE("wrong configuration files") {
  const BadCasesBench bench;
  for (const char* content : {"[run]\npolcy = eco\n", "garbage\n"}) {
    const std::string config = bench.workshop.file("agent.ini", content);
    const AgentRun run =
        run_agent({"--config", config, "run", "--model", bench.model, bench.picture});
    CAPTURE(content);
    CHECK(run.exit_code == static_cast<int>(ExitCode::kUsage));
  }
  const std::string good = bench.workshop.file("good.ini", "[run]\nsplit = all\njson = true\n");
  CHECK(run_agent({"--config", good, "run", "--model", bench.model, bench.picture}).exit_code == 0);
}

TEST_CASE("the port is taken") {
  const BadCasesBench bench;
  const RunningServer first({bench.model});
  const Finished second =
      run_program({server_program(), "--model", bench.model, "--listen", first.address()});
  CHECK(second.exit_code == static_cast<int>(ExitCode::kPortUnavailable));
  CHECK(std::ranges::count(second.err, '\n') == 1);
  CHECK(second.err.find(first.address()) != std::string::npos);
}

TEST_CASE("wrong command lines") {
  const BadCasesBench bench;
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"run"},
           {"run", "--model", bench.model, "--threads", "0", bench.picture},
           {"run", "--model", bench.model, "--policy", "best", bench.picture},
           {"run", "--model", bench.model, "--prefer", "neither", bench.picture},
           {"run", "--model", bench.model, "--server", "a:b:c", bench.picture},
           {"run", "--model", bench.model, "--server", "host", "--uplink-limit", "fast",
            bench.picture},
           {"run", "--model", bench.model, "--server", "host:1", "--uplink-limit", "7kbit",
            bench.picture},
           {"run", "--model", bench.model, "--server", "host:1", "--bandwidth", "1mbit",
            "--uplink-limit", "7kbit", bench.picture},
           {"plan", "--model", bench.model, "--rank", "factor", "--latency-budget", "5ms"},
           {"plan", "--model", bench.model, "--bandwidth", "10"}}) {
    const AgentRun run = run_agent(arguments);
    CAPTURE(run.err);
    CHECK(run.exit_code == static_cast<int>(ExitCode::kUsage));
    CHECK_FALSE(run.err.empty());
  }
  for (const std::string& program : {agent_program(), server_program(), import_program()}) {
    const Finished help = run_program({program, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.out.find("Exit codes") != std::string::npos);
  }
}

TEST_CASE("standard output that cannot be written") {
  const BadCasesBench bench;
  const Finished full =
      run_program({"sh", "-c",
                   "exec '" + agent_program() + "' run --model '" + bench.model +
                       "' --split all --json '" + bench.picture + "' >/dev/full"});
  CHECK(full.exit_code == static_cast<int>(ExitCode::kIo));
  for (const char* command : {"plan", "profile"}) {
    CAPTURE(command);
    const Finished other = run_program({"sh", "-c",
                                        "exec '" + agent_program() + "' " + command + " --model '" +
                                            bench.model + "' >/dev/full"});
    CHECK(other.exit_code == static_cast<int>(ExitCode::kIo));
  }
}

TEST_CASE("a profile loses a bad picture, not itself; without any good one it is written, code 4") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35", "--f16"});
  const std::string good = workshop.jpeg("good.jpg", 1);
  const std::string whole = read_whole(good);
  const std::string half = workshop.file("half.jpg", whole.substr(0, whole.size() / 2));
  const std::string text = workshop.file("text.png", "this is no picture");
  const std::string output = workshop.path("kept.profile");
  std::vector<std::string> command{"profile", "--model",  model,  "--runs", "1",
                                   "--json",  "--output", output, half,     text};
  const AgentRun none = run_agent(command);
  CAPTURE(none.err);
  CHECK(none.exit_code == static_cast<int>(ExitCode::kBadInput));
  CHECK(std::ranges::count(none.err, '\n') == 3);
  CHECK(none.err.find("none of the 2 pictures can be used") != std::string::npos);
  REQUIRE(none.records.size() == 1);
  CHECK(none.records[0].at("sample_pictures") == 0);
  CHECK(none.records[0].at("variants").at(0).at("disagreement_ppm") == 0);
  CHECK(none.records[0].at("variants").at(1).at("compared_pictures") == 0);
  CHECK(none.records[0].at("variants").at(1).at("disagreement_ppm").is_null());
  CHECK(run_agent({"plan", "--model", model, "--profile", output, "--json"}).exit_code == 0);

  command.push_back(good);
  const AgentRun some = run_agent(command);
  CAPTURE(some.err);
  CHECK(some.exit_code == 0);
  CHECK(std::ranges::count(some.err, '\n') == 2);
  CHECK(some.err.find("cleave-agent: left out: " + half + ": ") == 0);
  CHECK(some.err.find("cleave-agent: left out: " + text + ": ") != std::string::npos);
  const nlohmann::json& compared = some.records.at(0).at("variants").at(1);
  CHECK(some.records[0].at("sample_pictures") == 1);
  CHECK(compared.at("compared_pictures") == 1);
  const std::uint32_t differing = compared.at("differing_pictures");
  CHECK(compared.at("disagreement_ppm") == (differing + 1) * 500'000);

  // Of one precision nothing is compared, but the JPEGs are counted: the same lines.
  command.insert(command.end(), {"--variant", "f32"});
  const AgentRun alone = run_agent(command);
  CHECK(alone.exit_code == 0);
  CHECK(alone.err.find(text) != std::string::npos);
  CHECK(alone.records.at(0).at("sample_pictures") == 2);

  const Finished shown =
      run_program({agent_program(), "profile", "--model", model, "--runs", "1", good});
  const std::string line = "f16: another best class on " + std::to_string(differing) +
                           " of 1 pictures than f32; --disagreement takes it as " +
                           (differing == 0 ? "50" : "100") + ".0000%\n";
  CHECK_MESSAGE(shown.out.find(line) != std::string::npos, shown.out);
  const Finished help = run_program({agent_program(), "profile", "--help"});
  CHECK(help.out.find("--disagreement") != std::string::npos);
}

}  // namespace cleave::test
