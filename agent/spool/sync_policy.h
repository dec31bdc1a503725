// SPDX-License-Identifier: Apache-2.0
//
// When what is written has to reach the disk: --sync always|interval:TIME|never.
#pragma once

#include <cstdint>
#include <string>

#include "agent/spool/spool_format.h"
#include "agent/spool/write_budget.h"

namespace cleave::agent {

struct SyncPolicy {
  SyncKind kind = SyncKind::kAlways;
  std::uint64_t interval_ns =
      0;  // of kInterval: what is written is durable after this at the latest
};

// Errors: kInvalidArgument with the form.
[[nodiscard]] Result<SyncPolicy> parse_sync_policy(const std::string& text);
[[nodiscard]] std::string to_string(const SyncPolicy& policy);

// SIZE/hour or SIZE/day, as in 200MB/day. Errors: kInvalidArgument with the form.
[[nodiscard]] Result<WriteBudget> parse_write_budget(const std::string& text);

// parse_duration_ns(), or with a unit that fits the life of a spooled picture: m, h or d.
[[nodiscard]] Result<std::uint64_t> parse_age_ns(const std::string& text);

}  // namespace cleave::agent
