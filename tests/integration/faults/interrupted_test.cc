// SPDX-License-Identifier: Apache-2.0
//
// Signals that come while the programs are in system calls, and a disk without room below them.
#include <doctest/doctest.h>

#include <filesystem>

#include "schemas/exit_code.h"
#include "tests/support/faulty_system.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

constexpr const char* kPreloaded = CLEAVE_FAULTY_SYSTEM_LIBRARY;

struct Place {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.25"});
  FaultySystem system{workshop.path("system")};

  // `run` with spool and results below the faulty system.
  [[nodiscard]] Finished run(const std::vector<std::string>& more) {
    std::vector<std::string> words{agent_program(), "run",
                                   "--model",       model,
                                   "--no-cache",    "--json",
                                   "--spool",       workshop.path("spool"),
                                   "--results",     workshop.path("results.jsonl")};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, system.environment(kPreloaded));
  }
};

}  // namespace

TEST_CASE("calls on files that a signal interrupts are made again") {
  Place place;
  place.system.control().interrupt_each = 2;
  const std::string picture = place.workshop.jpeg("picture.jpg", 1);
  const Finished alone = place.run({"--split", "all", picture});
  CHECK_MESSAGE(alone.exit_code == 0, alone.err);
  CHECK(alone.err.find("nterrupted") == std::string::npos);
  const Finished zoo = run_program({import_program(), "zoo", "mobilenet_v2",
                                    place.workshop.path("again.cleave"), "--input", "32"},
                                   place.system.environment(kPreloaded));
  CHECK_MESSAGE(zoo.exit_code == 0, zoo.err);
}

TEST_CASE("without room on the disk pictures are answered, and what could not be kept is said") {
  Place place;
  place.system.control().limited = 1;
  const std::string picture = place.workshop.jpeg("picture.jpg", 1);
  SUBCASE("not even for the log to begin") {
    const Finished run = place.run({"--split", "all", picture});
    CHECK(run.exit_code == static_cast<int>(ExitCode::kIo));
    CHECK(run.err.find("No space left") != std::string::npos);
    place.system.control().limited = 0;
    CHECK(place.run({"--split", "all", picture}).exit_code == 0);
  }
  SUBCASE("for the log's beginning alone") {
    place.system.control().room_bytes = 100;
    const Finished run = place.run({"--split", "all", picture});
    CHECK(run.exit_code == static_cast<int>(ExitCode::kIo));
    CHECK(run.out.find("\"top\"") != std::string::npos);
    place.system.control().limited = 0;
    const Finished next = place.run({"--split", "all"});
    CHECK_MESSAGE(next.exit_code == 0, next.err);
  }
}

}  // namespace cleave::test
