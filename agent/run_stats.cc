// SPDX-License-Identifier: Apache-2.0
#include "agent/run_stats.h"

namespace cleave::agent {

std::string stats_text(const PipelineCounters& pipeline, const LinkCounters& link,
                       std::uint64_t queue_drops) {
  std::string text;
  const auto add = [&text](const char* name, std::uint64_t count) {
    if (!text.empty()) text += ' ';
    text += std::string(name) + '=' + std::to_string(count);
  };
  add("retries", pipeline.retries);
  add("fallbacks", pipeline.fallbacks);
  add("finished_in_time", pipeline.in_time);
  add("cancelled", link.cancelled);
  add("late_answers", link.late_answers);
  add("pings", link.pings);
  add("heartbeats_missed", link.heartbeats_missed);
  add("queue_drops", queue_drops);
  add("most_in_work", pipeline.most_in_work);
  return text;
}

}  // namespace cleave::agent
