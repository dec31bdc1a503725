// SPDX-License-Identifier: Apache-2.0
//
// The soak: tests/hil/README.md.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/hil/flatness.h"
#include "tests/hil/soak_agent.h"
#include "tests/support/process_figures.h"

namespace cleave::test {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr std::uint64_t kRssRoomBytes = 2 << 20;
constexpr std::uint64_t kRssPercent = 3;
constexpr std::uint64_t kDescriptorRoom = 4;  // connections that are just coming or going
constexpr std::size_t kSamplesOfARun = 24;    // of an agent that is judged at all

// The answers that a server keeps are memory that grows until there are as many as there may be: in
// a short run that has to come while it warms up.
constexpr std::uint64_t kShortMinutes = 30;
constexpr const char* kAnswersOfAShortRun = "1000";

struct Samples {
  std::vector<std::uint64_t> rss_bytes, descriptors;
  void add(const ProcessFigures& figures) {
    if (figures.rss_bytes == 0) return;  // it has just ended
    rss_bytes.push_back(figures.rss_bytes);
    descriptors.push_back(figures.descriptors);
  }
};

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void judge(const std::string& who, const Samples& samples) {
  const Flatness rss = judge_flatness(samples.rss_bytes, kRssRoomBytes, kRssPercent);
  const Flatness descriptors = judge_flatness(samples.descriptors, kDescriptorRoom, 0);
  std::printf("%s: %.2f MB -> %.2f MB, %llu -> %llu descriptors: %s\n", who.c_str(),
              megabytes(rss.early), megabytes(rss.late),
              static_cast<unsigned long long>(descriptors.early),
              static_cast<unsigned long long>(descriptors.late),
              rss.is_flat && descriptors.is_flat ? "flat" : "NOT FLAT");
  CHECK_MESSAGE(rss.is_flat, who);
  CHECK_MESSAGE(descriptors.is_flat, who);
}

void print_row(double seconds, const ProcessFigures& server, const SoakCounts& counts) {
  std::printf("%8.0f %10.2f %6zu %8zu %10llu %10llu %9llu %7llu %6llu\n", seconds,
              megabytes(server.rss_bytes), server.descriptors, server.threads,
              static_cast<unsigned long long>(counts.answered),
              static_cast<unsigned long long>(counts.by_server),
              static_cast<unsigned long long>(counts.spooled),
              static_cast<unsigned long long>(counts.faults),
              static_cast<unsigned long long>(counts.runs));
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("flat is what does not grow after it warmed up") {
  std::vector<std::uint64_t> samples;
  for (std::uint64_t i = 0; i < 100; ++i) samples.push_back(i < 20 ? i * 1000 : 20'000);
  CHECK(judge_flatness(samples, 100, 3).is_flat);
  for (std::uint64_t i = 0; i < 100; ++i) samples[i] = 20'000 + i * 20;
  CHECK_FALSE(judge_flatness(samples, 100, 3).is_flat);
  CHECK(judge_flatness(samples, 2000, 3).is_flat);
}

TEST_CASE("agents and a server for a while: right answers, flat memory") {
  const auto minutes = from_environment("CLEAVE_SOAK_MINUTES", 1);
  const auto seed = from_environment("CLEAVE_SOAK_SEED", 1);
  const char* const uplink = std::getenv("CLEAVE_SOAK_UPLINK");
  const FaultBench bench;
  std::vector<std::string> options{"--workers", "2"};
  if (minutes < kShortMinutes) options.insert(options.end(), {"--answers", kAnswersOfAShortRun});
  RunningServer server({bench.model(ModelVersion::kFirst)}, options);
  SoakCounts counts;
  std::vector<std::unique_ptr<SoakAgent>> agents;
  for (std::uint64_t i = 0; i < from_environment("CLEAVE_SOAK_AGENTS", 3); ++i) {
    SoakAgentOptions of_agent{
        .server_port = server.port(), .seed = seed * 1000 + i, .kills = i == 0};
    if (uplink != nullptr) of_agent.uplink = uplink;
    agents.push_back(std::make_unique<SoakAgent>(bench, of_agent, counts));
  }
  std::printf(
      " seconds  server MB    fds  threads   answered  by server   spooled  faults   runs\n");
  Samples of_server;
  std::map<pid_t, Samples> of_agents;
  const auto start = Clock::now();
  const auto row_each = std::chrono::seconds(minutes > 5 ? 60 : 5);
  auto next_row = start + row_each;
  while (Clock::now() < start + std::chrono::minutes(minutes)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const ProcessFigures figures = process_figures(server.program().pid());
    of_server.add(figures);
    for (const auto& agent : agents) {
      if (const pid_t pid = agent->pid(); pid != 0) of_agents[pid].add(process_figures(pid));
    }
    if (Clock::now() < next_row) continue;
    next_row += row_each;
    print_row(std::chrono::duration<double>(Clock::now() - start).count(), figures, counts);
  }
  for (const auto& agent : agents) {
    for (const std::string& complaint : agent->end()) FAIL_CHECK(complaint);
  }
  judge("server", of_server);
  for (const auto& [pid, samples] : of_agents) {
    if (samples.rss_bytes.size() >= kSamplesOfARun) judge("agent " + std::to_string(pid), samples);
  }
  CHECK(counts.by_server > 0);
  CHECK(counts.faults > 0);
  server.program().signal(SIGTERM);
  CHECK(server.program().wait() == 0);
}

}  // namespace cleave::test
