// SPDX-License-Identifier: Apache-2.0
//
// How long one plan() takes: scores, exact front and choice, for tables of the size that networks
// have. Prints machine, compiler, warm-up, runs, median and spread; the aim is 10 us for 44 cuts
// and 6 codecs on x86-64.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "planner/planner.h"

namespace {

using namespace cleave::planner;

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

// A VGG-like table: bytes fall and memory grows with depth, each codec trades time for bytes.
std::vector<Candidate> table(std::uint16_t cuts, std::uint8_t codecs) {
  std::vector<Candidate> candidates;
  for (std::uint16_t k = 0; k <= cuts; ++k) {
    for (std::uint8_t codec = 0; codec < codecs; ++codec) {
      Candidate c;
      c.cut = k;
      c.split = k;
      c.codec = codec;
      c.needs_server = k < cuts;
      c.boundary_bytes = 3'211'264u / (1 + k / 4u) / (1u + codec) + k * 131u;
      c.edge_latency_ns = k * 9'000'000ull + codec * 400'000ull;
      c.server_latency_ns = (cuts - k) * 700'000ull + codec * 90'000ull;
      c.edge_memory_bytes = c.edge_ram_bytes = k * k * 290'000ull;
      candidates.push_back(c);
      if (!c.needs_server) break;
    }
  }
  return candidates;
}

struct Timing {
  std::uint64_t median_ns = 0;
  std::uint64_t p5_ns = 0;
  std::uint64_t p95_ns = 0;
  std::uint16_t front_size = 0;
};

Timing measure(const std::vector<Candidate>& candidates, const Link& link) {
  std::vector<Score> scores(candidates.size());
  std::vector<CandidateIndex> front(candidates.size());
  std::vector<std::uint64_t> ns;
  Timing timing;
  for (int run = 0; run < kWarmUp + kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    timing.front_size =
        plan(candidates, link, {}, {}, {.scores = scores, .front = front}).front_size;
    const auto elapsed = std::chrono::steady_clock::now() - start;
    if (run >= kWarmUp) {
      ns.push_back(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()));
    }
  }
  std::sort(ns.begin(), ns.end());
  timing.median_ns = ns[ns.size() / 2];
  timing.p5_ns = ns[ns.size() / 20];
  timing.p95_ns = ns[ns.size() - ns.size() / 20];
  return timing;
}

}  // namespace

int main() {
  std::printf("%s, compiler %s, %d warm-up and %d timed runs\n", processor_name().c_str(),
              __VERSION__, kWarmUp, kRuns);
  std::printf("%6s %7s %9s %7s %10s %10s %10s\n", "cuts", "codecs", "Mbit/s", "front", "median ns",
              "p5 ns", "p95 ns");
  bool within_aim = true;
  for (const auto& [cuts, codecs] : {std::pair<std::uint16_t, std::uint8_t>{44, 6}, {511, 8}}) {
    for (const std::uint64_t mbit : {1, 10, 100}) {
      const Link link{.bandwidth_bps = mbit * 1'000'000, .rtt_ns = 5'000'000, .available = true};
      const Timing t = measure(table(cuts, codecs), link);
      std::printf("%6u %7u %9llu %7u %10llu %10llu %10llu\n", unsigned{cuts}, unsigned{codecs},
                  static_cast<unsigned long long>(mbit), unsigned{t.front_size},
                  static_cast<unsigned long long>(t.median_ns),
                  static_cast<unsigned long long>(t.p5_ns),
                  static_cast<unsigned long long>(t.p95_ns));
      if (cuts == 44) within_aim = within_aim && t.median_ns <= kAimNs;
    }
  }
  std::printf("44 cuts x 6 codecs within %llu ns: %s\n", static_cast<unsigned long long>(kAimNs),
              within_aim ? "yes" : "no");
  return within_aim ? 0 : 1;
}
