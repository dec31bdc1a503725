// SPDX-License-Identifier: Apache-2.0
#include "agent/run_stats.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace cleave::agent {
namespace {

// Another value in each counter.
RunFigures figures() {
  RunFigures figures;
  std::uint64_t value = 0;
  for (const PipelineCounter& counter : kPipelineCounters) {
    figures.pipeline.*counter.value = ++value;
  }
  for (const LinkCounter& counter : kLinkCounters) figures.link.*counter.value = ++value;
  for (const LedgerCounter& counter : kLedgerCounters) figures.ledger.*counter.value = ++value;
  for (const LedgerCounter& counter : kDamageCounters) figures.ledger.*counter.value = ++value;
  for (const char* reason : kDropReasons) figures.dropped[reason] = ++value;
  figures.unreadable = ++value;
  figures.waiting = ++value;
  figures.queue_drops = ++value;
  return figures;
}

}  // namespace

TEST_CASE("each counter has a name of its own, and none is left out") {
  const NamedCounts counters = run_counters(figures());
  std::set<std::string> names;
  std::set<std::uint64_t> values;
  for (const auto& counter : counters) {
    const std::string& name = counter.first;
    const std::uint64_t value = counter.second;
    CAPTURE(name);
    CHECK(names.insert(name).second);
    CHECK(value > 0);
    CHECK(values.insert(value).second);
  }
  CHECK(counters.size() == kPipelineCounters.size() + kLinkCounters.size() +
                               kLedgerCounters.size() + kDamageCounters.size() +
                               kDropReasons.size() + 3);
  // What operators and scripts look for.
  for (const char* name : {"retries",
                           "fallbacks",
                           "finished_in_time",
                           "planned_alone",
                           "cancelled",
                           "late_answers",
                           "pings",
                           "heartbeats",
                           "heartbeats_missed",
                           "queue_drops",
                           "most_in_work",
                           "encoded_beside",
                           "connections",
                           "connections_lost",
                           "connect_failures",
                           "connect_unreachable",
                           "connect_timeouts",
                           "connect_distrusted",
                           "connect_mismatches",
                           "connect_busy",
                           "connect_broken",
                           "asked",
                           "answers",
                           "busy",
                           "refused",
                           "broken_off",
                           "accepted",
                           "unprotected",
                           "by_reference",
                           "recovered",
                           "already_ended",
                           "replaced",
                           "sync_failures",
                           "spool_damaged_bytes",
                           "spool_strange_segments",
                           "results_cut_bytes",
                           "results_damaged_lines",
                           "unreadable",
                           "waiting",
                           "dropped_expired",
                           "dropped_spool_full",
                           "dropped_source_gone",
                           "dropped_damaged",
                           "dropped_model_changed",
                           "dropped_unanswered",
                           "dropped_queue_full",
                           "dropped_refused"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("as text and as JSON they are the same, those that are 0 too") {
  const NamedCounts counters = run_counters({});
  const std::string text = stats_text(counters);
  CHECK(text.starts_with("retries=0 fallbacks=0 "));
  const nlohmann::json json = nlohmann::json::parse(stats_json(counters));
  CHECK(json.at("event") == "stats");
  CHECK(json.size() == counters.size() + 1);
  for (const auto& counter : counters) {
    const std::string& name = counter.first;
    CAPTURE(name);
    CHECK(json.at(name) == counter.second);
    CHECK((" " + text + " ").find(" " + name + "=0 ") != std::string::npos);
  }
}

}  // namespace cleave::agent
