// SPDX-License-Identifier: Apache-2.0
//
// cleave-import as a user runs it: what it prints, and its exit codes. CLEAVE_IMPORT is the
// program.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/engine/importer/cli_runner.h"

using namespace cleave::test;
using cleave::ExitCode;

namespace {

constexpr const char* kSmallZoo = "zoo mobilenet_v2 m.cleave --input 32 --width 0.1 --classes 2";

}  // namespace

TEST_CASE("zoo writes a model, twice the same bytes, and says what it wrote") {
  const TemporaryFolder folder;
  const Finished first = run_import(folder, kSmallZoo);
  CHECK(first.exit_code == 0);
  CHECK(first.err.empty());
  CHECK(is_one_line(first.out));
  CHECK(first.out.find("21 layers") != std::string::npos);
  const std::string bytes = content(folder / "m.cleave");
  CHECK(run_import(folder, kSmallZoo).exit_code == 0);
  CHECK(content(folder / "m.cleave") == bytes);
  const auto json =
      nlohmann::json::parse(run_import(folder, std::string(kSmallZoo) + " --json").out);
  CHECK(json["layers"] == 21);
  CHECK(json["file_bytes"] == bytes.size());
  CHECK(run_import(folder, std::string(kSmallZoo) + " --seed 2").exit_code == 0);
  CHECK(content(folder / "m.cleave") != bytes);
}

TEST_CASE("inspect prints tables or JSON, and finds a changed weight when told to verify") {
  const TemporaryFolder folder;
  REQUIRE(run_import(folder, kSmallZoo).exit_code == 0);
  CHECK(run_import(folder, "inspect m.cleave").out.find("features.18") != std::string::npos);
  const auto json =
      nlohmann::json::parse(run_import(folder, "inspect m.cleave --json --verify").out);
  CHECK(json["variants"][0]["layers"].size() == 21);
  std::string bytes = content(folder / "m.cleave");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(folder / "m.cleave", std::ios::binary) << bytes;
  CHECK(run_import(folder, "inspect m.cleave").exit_code == 0);
  const Finished verified = run_import(folder, "inspect m.cleave --verify");
  CHECK(verified.exit_code == code(ExitCode::kCorruptModel));
  CHECK(is_one_line(verified.err));
}

TEST_CASE("each bad case is one line on standard error and its exit code") {
  const TemporaryFolder folder;
  REQUIRE(run_import(folder, kSmallZoo).exit_code == 0);
  std::ofstream(folder / "garbage") << "this is no model";
  std::ofstream(folder / "empty");
  std::ofstream(folder / "archive.zip") << "PK\x03\x04....";
  std::ofstream(folder / "broken.json") << "{\"modelTopology\": ";
  std::filesystem::create_directory(folder / "bare");
  for (const BadCase& c : {
           BadCase{"import none.onnx o.cleave", ExitCode::kNotFound, "none.onnx"},
           BadCase{"import garbage o.cleave", ExitCode::kBadInput, "garbage"},
           BadCase{"import empty o.cleave", ExitCode::kBadInput, "empty"},
           BadCase{"import archive.zip o.cleave", ExitCode::kBadInput, "unpack"},
           BadCase{"import broken.json o.cleave", ExitCode::kBadInput, "broken.json"},
           BadCase{"import m.cleave o.cleave", ExitCode::kBadInput, "already"},
           BadCase{"import bare o.cleave", ExitCode::kNotFound, "model.json"},
           BadCase{"inspect none.cleave", ExitCode::kNotFound, "none.cleave"},
           BadCase{"inspect garbage", ExitCode::kCorruptModel, "garbage"},
           BadCase{"zoo resnet50 o.cleave", ExitCode::kNotFound, "resnet50"},
           BadCase{"zoo mobilenet_v2 o.cleave --input 33", ExitCode::kUsage, "--input"},
           BadCase{"zoo mobilenet_v2 none/o.cleave --input 32 --width 0.1", ExitCode::kNotFound,
                   "none/o.cleave"},
           BadCase{"zoo mobilenet_v2 bare --input 32 --width 0.1", ExitCode::kIo, "bare"},
       }) {
    check_bad_case(folder, c, "o.cleave");
  }
}

TEST_CASE("a folder without write permission is an I/O error") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "locked");
  std::filesystem::permissions(folder / "locked", std::filesystem::perms::owner_exec);
  const Finished outcome =
      run_import(folder, "zoo mobilenet_v2 locked/o.cleave --input 32 --width 0.1");
  // Permissions do not bind the superuser.
  CHECK(outcome.exit_code == (::geteuid() == 0 ? 0 : code(ExitCode::kIo)));
  std::filesystem::permissions(folder / "locked", std::filesystem::perms::owner_all);
}

TEST_CASE("a wrong command line is exit code 2, and says so") {
  const TemporaryFolder folder;
  for (const char* arguments :
       {"", "frobnicate", "zoo", "zoo mobilenet_v2", "inspect a b", "import a b --frob",
        "zoo mobilenet_v2 o --input wide", "import a b --mean 1 --mean01 1",
        "import a b --std 1 --scale 2", "import a b --mean x"}) {
    CAPTURE(arguments);
    const Finished outcome = run_import(folder, arguments);
    CHECK(outcome.exit_code == code(ExitCode::kUsage));
    CHECK_FALSE(outcome.err.empty());
  }
}

TEST_CASE("a file name that is not UTF-8 still gives JSON that is") {
  const TemporaryFolder folder;
  const Finished outcome =
      run_import(folder, "zoo mobilenet_v2 'm\xff.cleave' --input 32 --width 0.1 --json");
  CHECK(outcome.exit_code == 0);
  CHECK(nlohmann::json::parse(outcome.out)["layers"] == 21);
}

TEST_CASE("help shows examples and exit codes") {
  const TemporaryFolder folder;
  const Finished general = run_import(folder, "--help");
  CHECK(general.exit_code == 0);
  CHECK(general.out.find("Exit codes:") != std::string::npos);
  for (const char* command : {"import", "zoo", "inspect"}) {
    CAPTURE(command);
    const Finished help = run_import(folder, std::string(command) + " --help");
    CHECK(help.exit_code == 0);
    CHECK(help.out.find("Example") != std::string::npos);
    CHECK(help.out.find("Exit codes") != std::string::npos);
    CHECK(help.out.find("cleave-import " + std::string(command)) != std::string::npos);
  }
}
