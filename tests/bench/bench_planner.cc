// SPDX-License-Identifier: Apache-2.0
//
// How long one plan() takes: scores with energy and cost, exact front and choice, for tables of the
// size that networks have. Prints machine, compiler, warm-up, runs, least, median and spread; the
// aim is 10 us for 44 cuts and 6 codecs on x86-64. planner_instruction_counts.py counts the
// instructions of the same plans on aarch64.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "planner/planner.h"
#include "tests/bench/planner_table.h"

namespace {

using namespace cleave::planner;
using cleave::planner::bench::busy_conditions;
using cleave::planner::bench::table;

constexpr int kWarmUp = 200;
constexpr int kRuns = 2000;
constexpr std::uint64_t kAimNs = 10'000;

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

struct Timing {
  std::uint64_t least_ns = 0;
  std::uint64_t median_ns = 0;
  std::uint64_t p5_ns = 0;
  std::uint64_t p95_ns = 0;
  std::uint16_t front_size = 0;
};

Timing measure(const std::vector<Candidate>& candidates, const Conditions& conditions) {
  std::vector<Score> scores(candidates.size());
  std::vector<CandidateIndex> front(candidates.size());
  std::vector<std::uint64_t> ns;
  Timing timing;
  for (int run = 0; run < kWarmUp + kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    timing.front_size =
        plan(candidates, conditions, {}, {.scores = scores, .front = front}).front_size;
    const auto elapsed = std::chrono::steady_clock::now() - start;
    if (run >= kWarmUp) {
      ns.push_back(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()));
    }
  }
  std::sort(ns.begin(), ns.end());
  timing.least_ns = ns.front();
  timing.median_ns = ns[ns.size() / 2];
  timing.p5_ns = ns[ns.size() / 20];
  timing.p95_ns = ns[ns.size() - ns.size() / 20];
  return timing;
}

}  // namespace

int main() {
  std::printf("%s, compiler %s, %d warm-up and %d timed runs\n", processor_name().c_str(),
              __VERSION__, kWarmUp, kRuns);
  std::printf("%6s %7s %9s %7s %10s %10s %10s %10s\n", "cuts", "codecs", "Mbit/s", "front",
              "least ns", "median ns", "p5 ns", "p95 ns");
  bool within_aim = true;
  for (const auto& [cuts, codecs] : {std::pair<std::uint16_t, std::uint8_t>{44, 6}, {511, 8}}) {
    for (const std::uint64_t mbit : {1, 10, 100}) {
      const Timing t = measure(table(cuts, codecs), busy_conditions(mbit));
      std::printf(
          "%6u %7u %9llu %7u %10llu %10llu %10llu %10llu\n", unsigned{cuts}, unsigned{codecs},
          static_cast<unsigned long long>(mbit), unsigned{t.front_size},
          static_cast<unsigned long long>(t.least_ns), static_cast<unsigned long long>(t.median_ns),
          static_cast<unsigned long long>(t.p5_ns), static_cast<unsigned long long>(t.p95_ns));
      if (cuts == 44) within_aim = within_aim && t.least_ns <= kAimNs;
    }
  }
  std::printf("44 cuts x 6 codecs within %llu ns at the least: %s\n",
              static_cast<unsigned long long>(kAimNs), within_aim ? "yes" : "no");
  return within_aim ? 0 : 1;
}
