// SPDX-License-Identifier: Apache-2.0
//
// Memory is a contract: the peak resident memory of `cleave-agent run --split k` is what
// `cleave-agent plan` and `cleave-import inspect` said, within 5 % or 1 MiB, whichever is more; for
// a small picture and for one of 12 megapixels. Every measurement is of a fresh process.
// With CLEAVE_ALL_SPLITS=1 (label slow) for every k, else for some.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/programs.h"

namespace cleave::test {
namespace {

struct Network {
  const char* name;
  std::set<unsigned> some_splits;
};

const Network kNetworks[] = {{"mobilenet_v2", {0, 1, 4, 11, 19, 21}},
                             {"alexnet", {0, 2, 8, 15, 21}},
                             {"vgg16", {2, 4, 9, 17, 38}}};

std::uint64_t own_rss_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

// Bytes of the head's memory by op boundary, as inspect says.
std::map<unsigned, std::uint64_t> inspected_heads(const std::string& model) {
  std::map<unsigned, std::uint64_t> heads;
  const nlohmann::json report = inspect(model);
  for (const auto& cut : report.at("variants").at(0).at("cuts")) {
    heads[cut.at("op_boundary")] = cut.at("head_memory_bytes");
  }
  return heads;
}

std::uint64_t peak_of_run(const std::string& model, unsigned split, const RunningServer& server,
                          const std::vector<std::string>& pictures) {
  std::vector<std::string> command{
      agent_program(),       "run",   "--model", model, "--server", server.address(), "--split",
      std::to_string(split), "--json"};
  command.insert(command.end(), pictures.begin(), pictures.end());
  const Finished run = run_program(command);
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  REQUIRE(run.out.find("fallback") == std::string::npos);
  // A child starts from its parent's memory in the kernel's account.
  REQUIRE(own_rss_bytes() < run.peak_rss_bytes);
  return run.peak_rss_bytes;
}

void check_network(const std::string& model, const Network& network, const RunningServer& server,
                   const std::vector<std::string>& pictures) {
  const bool all = std::getenv("CLEAVE_ALL_SPLITS") != nullptr;
  const auto heads = inspected_heads(model);
  std::vector<std::string> plan_of{"plan",     "--model",        model,
                                   "--server", server.address(), "--json"};
  plan_of.insert(plan_of.end(), pictures.begin(), pictures.end());
  const AgentRun planned = run_agent(plan_of);
  REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
  const nlohmann::json& plan = planned.records.at(0);
  std::size_t measured = 0;
  for (const auto& row : plan.at("splits")) {
    const unsigned split = row.at("split");
    CAPTURE(split);
    const std::uint64_t said = row.at("ram_bytes");
    CHECK(row.at("memory_bytes") == heads.at(row.at("op").get<unsigned>()));
    CHECK(said == row.at("memory_bytes").get<std::uint64_t>() +
                      plan.at("ram").at("overhead_bytes").get<std::uint64_t>() +
                      plan.at("ram").at("picture_bytes").get<std::uint64_t>());
    if (!all && !network.some_splits.contains(split)) continue;
    const std::uint64_t peak = peak_of_run(model, split, server, pictures);
    const std::uint64_t tolerance = std::max<std::uint64_t>(said / 20, 1 << 20);
    std::printf("%-12s split %2u: said %9.3f MB, peak %9.3f MB, %+.3f MB\n", network.name, split,
                static_cast<double>(said) / 1e6, static_cast<double>(peak) / 1e6,
                (static_cast<double>(peak) - static_cast<double>(said)) / 1e6);
    CHECK(peak <= said + tolerance);
    CHECK(peak + tolerance >= said);
    ++measured;
  }
  CHECK(measured == (all ? plan.at("splits").size() : network.some_splits.size()));
}

}  // namespace

TEST_CASE("a run's peak resident memory is what plan and inspect said") {
  const Workshop workshop;
  const std::string small = workshop.jpeg("small.jpg", 1);
  const std::string large = workshop.jpeg("large.jpg", 2, {4000, 3000});
  for (const Network& network : kNetworks) {
    CAPTURE(network.name);
    const std::string model = workshop.zoo(network.name);
    const AgentRun profiled = run_agent({"profile", "--model", model, "--runs", "1", "--json"});
    REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
    const RunningServer server({model});
    check_network(model, network, server, {small});
    check_network(model, network, server, {large});
    // The second picture finds weights and arena in use.
    check_network(model, network, server, {large, small, large});
  }
}

}  // namespace cleave::test
