// SPDX-License-Identifier: Apache-2.0
//
// Makes one plan of those that bench_planner times, for planner_instruction_counts.py. Without an
// argument it lists their names, with one it makes that plan and prints the number of candidates.
#include <cstdio>
#include <string>
#include <vector>

#include "planner/planner.h"
#include "tests/bench/planner_table.h"

namespace {

using namespace cleave::planner;

struct Case {
  const char* name;
  std::uint16_t cuts;
  std::uint8_t codecs;
  std::uint64_t mbit;
};
constexpr Case kCases[] = {{"44 cuts x 6 codecs, 1 Mbit/s", 44, 6, 1},
                           {"44 cuts x 6 codecs, 10 Mbit/s", 44, 6, 10},
                           {"44 cuts x 6 codecs, 100 Mbit/s", 44, 6, 100}};

}  // namespace

int main(int argc, char** argv) {
  for (const Case& one : kCases) {
    if (argc < 2) {
      std::printf("%s\n", one.name);
      continue;
    }
    if (std::string(argv[1]) != one.name) continue;
    const std::vector<Candidate> candidates = bench::table(one.cuts, one.codecs);
    std::vector<Score> scores(candidates.size());
    std::vector<CandidateIndex> front(candidates.size());
    const Decision decision =
        plan(candidates, bench::busy_conditions(one.mbit), {}, {.scores = scores, .front = front});
    std::printf("%zu\n", candidates.size());
    return decision.status == PlanStatus::kOk ? 0 : 1;
  }
  return argc < 2 ? 0 : 1;
}
