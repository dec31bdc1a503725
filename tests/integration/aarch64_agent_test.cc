// SPDX-License-Identifier: Apache-2.0
//
// The static aarch64 agent under qemu-user with the server of this machine: the same top-1 wherever
// the network is cut. qemu shows the code no core type, so a cpuinfo of the core is mounted over
// /proc/cpuinfo in a mount namespace of the agent's own.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/support/programs.h"
#include "tests/support/shared_data.h"

namespace cleave::test {
namespace {

struct Core {
  const char* name;
  const char* part;  // MIDR part number as Linux prints it
};

constexpr Core kCores[] = {{"cortex-a53", "0xd03"}, {"cortex-a72", "0xd08"}};

std::string cpuinfo(const Core& core) {
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += "processor\t: " + std::to_string(i) +
            "\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: " +
            core.part + "\nCPU revision\t: 4\n\n";
  }
  return text;
}

// The command that runs the aarch64 agent as if on `core`, or nothing when this machine cannot.
std::vector<std::string> emulated_agent(const Workshop& workshop, const Core& core) {
  const char* folder = std::getenv("CLEAVE_AARCH64_BIN_DIR");
  const std::string agent = std::string(folder == nullptr ? "" : folder) + "/cleave-agent";
  if (access(agent.c_str(), X_OK) != 0) {
    REQUIRE_MESSAGE(std::getenv("CLEAVE_REQUIRE_AARCH64") == nullptr, "no " << agent);
    std::printf("skipped: no aarch64 agent; cmake --build --preset aarch64 makes it\n");
    return {};
  }
  const std::string info = workshop.file(std::string(core.name) + ".cpuinfo", cpuinfo(core));
  std::vector<std::string> command{"unshare",
                                   geteuid() == 0 ? "-m" : "-rm",
                                   "sh",
                                   "-c",
                                   "mount --bind '" + info +
                                       "' /proc/cpuinfo && "
                                       "exec qemu-aarch64-static -cpu " +
                                       core.name + " \"$0\" \"$@\"",
                                   agent};
  std::vector<std::string> probe = command;
  probe.emplace_back("--help");
  const Finished finished = run_program(probe);
  REQUIRE_MESSAGE(finished.exit_code == 0, finished.err);
  return command;
}

double largest_difference(const nlohmann::json& a, const nlohmann::json& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i].get<double>() - b[i].get<double>()));
  }
  return largest;
}

void check_core(const Core& core, const Workshop& workshop, const std::string& model,
                const std::vector<std::string>& pictures) {
  const std::vector<std::string> agent = emulated_agent(workshop, core);
  if (agent.empty()) return;
  std::vector<std::string> arguments{"run",      "--model", model, "--json",
                                     "--scores", "--split", "all"};
  arguments.insert(arguments.end(), pictures.begin(), pictures.end());
  const AgentRun native = run_agent(arguments);
  REQUIRE_MESSAGE(native.exit_code == 0, native.err);

  const AgentRun seen = run_agent(
      {"profile", "--model", model, "--runs", "1", "--json", "--output", workshop.path("profile")},
      agent);
  REQUIRE_MESSAGE(seen.exit_code == 0, seen.err);
  const std::string processor = seen.records.at(0).at("processor");
  CHECK(processor.find(core.part) != std::string::npos);

  const RunningServer server({model});
  double largest = 0;
  for (const char* split : {"0", "10", "all"}) {
    CAPTURE(split);
    std::vector<std::string> remote{"run",    "--model",  model,     "--server", server.address(),
                                    "--json", "--scores", "--split", split};
    remote.insert(remote.end(), pictures.begin(), pictures.end());
    const AgentRun run = run_agent(remote, agent);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    REQUIRE(run.records.size() == pictures.size());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const nlohmann::json& here = native.records[i];
      const nlohmann::json& there = run.records[i];
      CHECK_FALSE(there.contains("fallback"));
      CHECK(there.at("top")[0].at("index") == here.at("top")[0].at("index"));
      largest = std::max(largest, largest_difference(here.at("scores"), there.at("scores")));
    }
  }
  std::printf("%s (seen as %s): largest score difference %.3g\n", core.name, processor.c_str(),
              largest);
  CHECK(largest < 1e-3);
}

}  // namespace

TEST_CASE("the emulated agent gives this machine's top-1 at splits 0, middle and all") {
  const Workshop workshop;
  std::string model;
  std::vector<std::string> pictures;
  if (const auto data = shared_data()) {
    model = workshop.import((*data / "models/mobilenet_v2_tf2_ptq.tflite").string(), "mobilenet");
    for (const auto& entry : std::filesystem::directory_iterator(*data / "images/imagenet")) {
      if (entry.path().extension() == ".png") pictures.push_back(entry.path().string());
    }
    std::ranges::sort(pictures);
    pictures.resize(5);
  } else {
    model = workshop.zoo("mobilenet_v2");
    for (unsigned i = 0; i < 5; ++i) {
      pictures.push_back(workshop.jpeg("picture" + std::to_string(i) + ".jpg", i));
    }
  }
  for (const Core& core : kCores) check_core(core, workshop, model, pictures);
}

}  // namespace cleave::test
