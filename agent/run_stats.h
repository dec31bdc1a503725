// SPDX-License-Identifier: Apache-2.0
//
// What a run did besides answering: `run --stats`, and the last line of `run --log`. Each drop,
// retry, fallback and refusal is in one of the counters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/connection.h"
#include "agent/delivery.h"
#include "agent/link_state.h"
#include "agent/picture_run.h"
#include "agent/pipeline.h"
#include "agent/spool/ledger.h"

namespace cleave::agent {

// What the counters are taken from, each since the start.
struct RunFigures {
  PipelineCounters pipeline;
  LinkCounters link;
  LedgerCounts ledger;                           // none without --results
  std::map<std::string, std::uint64_t> dropped;  // by reason (ledger.h), with or without --results
  std::uint64_t unreadable = 0;                  // pictures that were not accepted: no file to read
  std::uint64_t waiting = 0;                     // in the spool
  std::uint64_t queue_drops = 0;                 // names from standard input
};

// All but queue_drops. `connection` and `delivery` may be null.
[[nodiscard]] RunFigures run_figures(const Pipeline& pipeline, const Connection* connection,
                                     const Delivery* delivery, const Tally& tally);

// By the names that reports use, which stay what they are; all of them, also those that are 0.
using NamedCounts = std::vector<std::pair<std::string, std::uint64_t>>;
[[nodiscard]] NamedCounts run_counters(const RunFigures& figures);

// "retries=0 fallbacks=2 ...".
[[nodiscard]] std::string stats_text(const NamedCounts& counters);
// {"event":"stats","retries":0,"fallbacks":2,...}
[[nodiscard]] std::string stats_json(const NamedCounts& counters);

}  // namespace cleave::agent
