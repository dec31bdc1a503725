// SPDX-License-Identifier: Apache-2.0
//
// Agent and server through seeded faults: every accepted picture ends exactly once, with the right
// answer or as the configured policy allows, and whoever stays is as it was.
//   CLEAVE_FAULT_SEEDS=1000        so many seeds, from 1
//   CLEAVE_FAULT_SEED=17           that one alone, with what it does and what was said
//   CLEAVE_FAULT_JOBS=4            seeds at the same time (default: 2)
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "tests/integration/faults/fault_run.h"
#include "tests/support/process_figures.h"

namespace cleave::test {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Instrumented programs take several times as long.
constexpr std::uint64_t kSeeds = kInstrumented ? 8 : 40;
constexpr std::uint64_t kSeedsThatMeetAll = 40;

struct Failure {
  std::uint64_t seed = 0;
  std::string text;
};

std::string run_seed(const FaultBench& bench, std::uint64_t seed, FaultTally& tally) {
  const FaultPlan plan = make_fault_plan(seed);
  FaultRun run(bench, plan);
  std::string text;
  for (const std::string& complaint : run.run()) text += "  ! " + complaint + "\n";
  tally = run.tally();
  if (text.empty()) return text;
  return to_string(plan) + "\n" + text + run.said();
}

// What failed, by seed.
std::vector<Failure> run_seeds(const FaultBench& bench, std::uint64_t count, FaultTally& tally) {
  std::atomic<std::uint64_t> next{1};
  std::mutex mutex;
  std::vector<Failure> failures;
  const auto work = [&] {
    for (std::uint64_t seed = next++; seed <= count; seed = next++) {
      FaultTally of_seed;
      std::string text = run_seed(bench, seed, of_seed);
      const std::lock_guard lock(mutex);
      tally.add(of_seed);
      if (text.empty()) continue;
      failures.push_back({seed, std::move(text)});
    }
  };
  std::vector<std::thread> threads(from_environment("CLEAVE_FAULT_JOBS", 2));
  for (std::thread& thread : threads) thread = std::thread(work);
  for (std::thread& thread : threads) thread.join();
  std::ranges::sort(failures, {}, &Failure::seed);
  return failures;
}

}  // namespace

TEST_CASE("the same seed does the same, and a few dozen do everything") {
  std::set<ActKind> seen;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const FaultPlan plan = make_fault_plan(seed);
    CHECK(to_string(plan) == to_string(make_fault_plan(seed)));
    CHECK(to_string(plan) != to_string(make_fault_plan(seed + 1)));
    for (const Phase& phase : plan.phases) {
      for (const Act& act : phase.acts) seen.insert(act.kind);
    }
  }
  CHECK(seen.size() == kActKinds);
}

TEST_CASE("a descriptor, a thread or memory more than before is seen") {
  const ProcessFigures before{.rss_bytes = 10'000'000, .descriptors = 12, .threads = 3};
  const auto grown = [&](const ProcessFigures& after) {
    return what_grew("it", before, after, 1'000'000);
  };
  CHECK(grown(before).empty());
  CHECK(grown({.rss_bytes = 11'000'000, .descriptors = 11, .threads = 2}).empty());
  CHECK(grown({.rss_bytes = 9'000'000, .descriptors = 12, .threads = 3}).empty());
  const auto descriptor = grown({.rss_bytes = 10'000'000, .descriptors = 13, .threads = 3});
  REQUIRE(descriptor.size() == 1);
  CHECK(descriptor.front() == "it had 12 descriptors and now has 13");
  CHECK(grown({.rss_bytes = 10'000'000, .descriptors = 12, .threads = 4}).size() == 1);
  CHECK(grown({.rss_bytes = 11'000'001, .descriptors = 12, .threads = 3}).size() == 1);
  CHECK(what_grew("it", before, {.rss_bytes = 1 << 30, .descriptors = 13, .threads = 4}, kAnyRss)
            .size() == 2);
}

TEST_CASE("a kind of fault that met nobody is named") {
  FaultTally all;
  for (FaultTally::Count& count : all.kinds) count = {.acts = 2, .met = 1};
  all.updates_killed = all.calls_interrupted = all.cache_writes_refused = 1;
  all.flips_over_tls = 1;
  CHECK(all.missing().empty());
  all.of(ActKind::kStrand).met = 0;
  CHECK(all.missing() == std::vector<std::string>{"strand"});
  FaultTally more;
  more.of(ActKind::kStrand) = {.acts = 1, .met = 1};
  all.add(more);
  CHECK(all.missing().empty());
  CHECK(all.of(ActKind::kStrand).acts == 3);
}

TEST_CASE("whatever fails, every accepted picture ends once, rightly, and nothing is left behind") {
  FaultBench bench;
  bench.make_certificates();
  FaultTally tally;
  if (const std::uint64_t seed = from_environment("CLEAVE_FAULT_SEED", 0); seed != 0) {
    MESSAGE(to_string(make_fault_plan(seed)));
    CHECK(run_seed(bench, seed, tally) == "");
    MESSAGE(tally.table());
    return;
  }
  const std::uint64_t count = from_environment("CLEAVE_FAULT_SEEDS", kSeeds);
  for (const Failure& failure : run_seeds(bench, count, tally)) {
    FAIL_CHECK("CLEAVE_FAULT_SEED=" << failure.seed << " repeats this\n" << failure.text);
  }
  std::printf("%s", tally.table().c_str());
  if (count < kSeedsThatMeetAll) return;
  for (const std::string& kind : tally.missing()) FAIL_CHECK("nobody was met by: " << kind);
}

}  // namespace cleave::test
