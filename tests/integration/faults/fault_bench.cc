// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/faults/fault_bench.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "engine/importer/importer.h"
#include "schemas/atomic_file.h"
#include "schemas/model_reader.h"
#include "tests/support/onnx_writer.h"

namespace cleave::test {
namespace {

constexpr std::uint64_t kMostProgramBytes = 1 << 30;

std::string identity_of(const std::string& model) {
  const auto file = ModelFile::open(model);
  return file.is_ok() ? to_hex((*file)->identity()) : file.status().message();
}

// By what every instrumented program calls first.
bool has_sanitizer(const std::string& program) {
  const auto file = read_file(program, kMostProgramBytes);
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  return bytes.find("__asan_init") != bytes.npos || bytes.find("__tsan_init") != bytes.npos;
}

}  // namespace

std::vector<std::string> words_for(const AgentSetting& setting) {
  std::vector<std::string> words{agent_program(),
                                 "run",
                                 "--model",
                                 setting.model,
                                 "--no-cache",
                                 "--server",
                                 setting.server,
                                 "--split",
                                 setting.split,
                                 "--results",
                                 setting.folder + "/results.jsonl",
                                 "--sync",
                                 setting.sync,
                                 "--timeout",
                                 setting.timeout,
                                 "--json",
                                 "--scores"};
  if (setting.cap_bytes > 0) {
    words.insert(words.end(), {"--ram", std::to_string(setting.cap_bytes)});
  }
  if (setting.has_spool) words.insert(words.end(), {"--spool", setting.folder + "/spool"});
  return words;
}

FaultBench::FaultBench() : is_instrumented_(has_sanitizer(server_program())) {
  make_pictures();
  first_ = import_version("first", 1);
  second_ = import_version("second", 2);
  second_identity_ = identity_of(second_);
  other_ = workshop_.zoo("mobilenet_v2", {"--input", "32", "--width", "0.5"});
  folder_ = workshop_.path("held");
  const RunningServer server({first_});
  const AgentRun fetched = run_agent(
      {"fetch", "--server", server.address(), "--output", folder_, "--name", "test", "--json"});
  REQUIRE_MESSAGE(fetched.exit_code == 0, fetched.err);
  learn_answers(ModelVersion::kFirst);
  learn_answers(ModelVersion::kSecond);
  cap_bytes_ = cap_with({});
}

std::uint64_t FaultBench::cap_with(const std::vector<std::string>& options) const {
  std::vector<std::string> words{"plan", "--model", first_, "--no-cache", "--json"};
  words.insert(words.end(), options.begin(), options.end());
  const AgentRun plan = run_agent(words);
  REQUIRE_MESSAGE(plan.exit_code == 0, plan.err);
  std::uint64_t head = 0, whole = 0;
  for (const auto& row : plan.records.at(0).at("splits")) {
    whole = row.at("ram_bytes");
    if (row.at("split") <= 4) head = std::max(head, whole);
  }
  REQUIRE(head < whole);
  return (head + whole) / 2;
}

void FaultBench::make_certificates() {
  const std::string folder = workshop_.path("ca");
  const auto tool = [&](const std::vector<std::string>& words) {
    std::vector<std::string> command{"bash", CLEAVE_CA_TOOL, "--dir", folder};
    command.insert(command.end(), words.begin(), words.end());
    const Finished made = run_program(command);
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  };
  tool({"init"});
  tool({"server", "127.0.0.1"});
  tool({"device", "gate"});
  const auto trust = [&](const std::string& name) {
    const std::string base = folder + "/" + name;
    return std::vector<std::string>{"--tls-ca",    folder + "/ca.crt", "--tls-cert",
                                    base + ".crt", "--tls-key",        base + ".key"};
  };
  server_trust_ = trust("127.0.0.1");
  agent_trust_ = trust("gate");
  const RunningServer server({first_}, server_trust_);
  std::vector<std::string> options{"--server", server.address()};
  options.insert(options.end(), agent_trust_.begin(), agent_trust_.end());
  tls_cap_bytes_ = cap_with(options);
}

ModelVersion FaultBench::version_of(const std::string& model) const {
  return identity_of(model) == second_identity_ ? ModelVersion::kSecond : ModelVersion::kFirst;
}

std::string FaultBench::import_version(const std::string& name, std::uint64_t seed) const {
  auto graph = importer::make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.25, .seed = seed});
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  const std::vector<std::byte> onnx = to_bytes(to_onnx(*graph));
  const std::string source = workshop_.path(name + ".onnx");
  std::ofstream(source, std::ios::binary)
      .write(reinterpret_cast<const char*>(onnx.data()), static_cast<std::streamsize>(onnx.size()));
  const std::string model = workshop_.path(name + ".cleave");
  const Finished imported =
      run_program({import_program(), "import", source, model, "--mean", "127.5", "--std", "127.5",
                   "--self-test", pictures_.front().path});
  REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
  return model;
}

// In the order that fault_plan.cc counts on: small ones, a PNG, a damaged one, large ones.
void FaultBench::make_pictures() {
  for (unsigned i = 0; i < 6; ++i) {
    pictures_.push_back({.path = workshop_.jpeg("small" + std::to_string(i) + ".jpg", i)});
  }
  pictures_.push_back({.path = workshop_.png("seventh.png", 6)});
  pictures_.push_back(
      {.path = workshop_.file("damaged.jpg", "\xff\xd8\xff\xe0 no picture"), .is_damaged = true});
  for (unsigned i = 0; i < 3; ++i) {
    pictures_.push_back({.path = workshop_.jpeg("large" + std::to_string(i) + ".jpg", i,
                                                {.width = 1600, .height = 1200})});
  }
}

void FaultBench::learn_answers(ModelVersion version) {
  std::vector<std::string> words{"run",     "--model", model(version), "--no-cache",
                                 "--split", "all",     "--json",       "--scores"};
  for (const BenchPicture& picture : pictures_) words.push_back(picture.path);
  const AgentRun run = run_agent(words);
  REQUIRE(run.records.size() == pictures_.size());
  for (std::size_t i = 0; i < pictures_.size(); ++i) {
    if (pictures_[i].is_damaged) continue;
    pictures_[i].scores[version] = run.records[i].at("scores");
  }
}

}  // namespace cleave::test
