// SPDX-License-Identifier: Apache-2.0
#include "agent/run_stats.h"

#include <nlohmann/json.hpp>

namespace cleave::agent {

RunFigures run_figures(const Pipeline& pipeline, const Connection* connection,
                       const Delivery* delivery, const Tally& tally) {
  RunFigures figures{.pipeline = pipeline.counters(),
                     .link = connection == nullptr ? LinkCounters{} : connection->counters(),
                     .ledger = {},
                     .dropped = tally.dropped,
                     .unreadable = tally.unreadable};
  if (delivery != nullptr) {
    figures.ledger = delivery->ledger().counts();
    figures.dropped = figures.ledger.dropped;
    figures.waiting = delivery->ledger().waiting();
  }
  return figures;
}

NamedCounts run_counters(const RunFigures& figures) {
  NamedCounts counters;
  for (const PipelineCounter& counter : kPipelineCounters) {
    counters.emplace_back(counter.name, figures.pipeline.*counter.value);
  }
  for (const LinkCounter& counter : kLinkCounters) {
    counters.emplace_back(counter.name, figures.link.*counter.value);
  }
  counters.emplace_back("queue_drops", figures.queue_drops);
  for (const LedgerCounter& counter : kLedgerCounters) {
    counters.emplace_back(counter.name, figures.ledger.*counter.value);
  }
  for (const LedgerCounter& counter : kDamageCounters) {
    counters.emplace_back(counter.name, figures.ledger.*counter.value);
  }
  counters.emplace_back("unreadable", figures.unreadable);
  counters.emplace_back("waiting", figures.waiting);
  for (const char* reason : kDropReasons) {
    const auto found = figures.dropped.find(reason);
    counters.emplace_back(std::string("dropped_") + reason,
                          found == figures.dropped.end() ? 0 : found->second);
  }
  return counters;
}

std::string stats_text(const NamedCounts& counters) {
  std::string text;
  for (const auto& [name, count] : counters) {
    if (!text.empty()) text += ' ';
    text += name + '=' + std::to_string(count);
  }
  return text;
}

std::string stats_json(const NamedCounts& counters) {
  nlohmann::ordered_json json{{"event", "stats"}};
  for (const auto& [name, count] : counters) json[name] = count;
  return json.dump();
}

}  // namespace cleave::agent
