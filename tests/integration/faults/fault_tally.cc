// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/faults/fault_tally.h"

#include <algorithm>
#include <cstdio>

namespace cleave::test {
namespace {

std::string line(const char* name, const std::string& text) {
  std::array<char, 40> padded{};
  std::snprintf(padded.data(), padded.size(), "%-22s", name);
  return padded.data() + text + "\n";
}

}  // namespace

bool is_of_link(ActKind kind) {
  switch (kind) {
    case ActKind::kKillServer:
    case ActKind::kEndServer:
    case ActKind::kPauseServer:
    case ActKind::kServeOther:
    case ActKind::kLinkDown:
    case ActKind::kStall:
    case ActKind::kStrand:
      return true;
    default:
      return false;
  }
}

bool is_counted_by_effect(ActKind kind) {
  switch (kind) {
    case ActKind::kFlipUp:
    case ActKind::kFlipDown:
    case ActKind::kCutUp:
    case ActKind::kCutDown:
    case ActKind::kSlowAnswers:
    case ActKind::kFillDisk:
      return true;
    default:
      return false;
  }
}

void FaultTally::add(const FaultTally& other) {
  for (unsigned i = 0; i < kActKinds; ++i) {
    kinds[i].acts += other.kinds[i].acts;
    kinds[i].met += other.kinds[i].met;
  }
  updates_killed += other.updates_killed;
  calls_interrupted += other.calls_interrupted;
  cache_writes_refused += other.cache_writes_refused;
  flips_over_tls += other.flips_over_tls;
  servers_judged += other.servers_judged;
  acts_outlived += other.acts_outlived;
  most_growth_bytes = std::max(most_growth_bytes, other.most_growth_bytes);
}

std::vector<std::string> FaultTally::missing() const {
  std::vector<std::string> names;
  for (unsigned i = 0; i < kActKinds; ++i) {
    if (kinds[i].met == 0) names.emplace_back(name_of(static_cast<ActKind>(i)));
  }
  if (flips_over_tls == 0) names.emplace_back("flip over TLS");
  if (updates_killed == 0) names.emplace_back("kill update");
  if (calls_interrupted == 0) names.emplace_back("interrupt calls");
  if (cache_writes_refused == 0) names.emplace_back("no room for the server's cache");
  return names;
}

std::string FaultTally::table() const {
  std::string text;
  for (unsigned i = 0; i < kActKinds; ++i) {
    const auto kind = static_cast<ActKind>(i);
    const char* const what = is_counted_by_effect(kind) ? " acts, took effect " : " acts, met ";
    text +=
        line(name_of(kind), std::to_string(kinds[i].acts) + what + std::to_string(kinds[i].met));
  }
  text += line("of flips, over TLS", std::to_string(flips_over_tls));
  text += line("kill update", std::to_string(updates_killed));
  text += line("calls interrupted", std::to_string(calls_interrupted));
  text += line("cache writes refused", std::to_string(cache_writes_refused));
  return text + line("servers judged", std::to_string(servers_judged) + " that outlived " +
                                           std::to_string(acts_outlived) +
                                           " acts; the most that one grew by: " +
                                           std::to_string(most_growth_bytes / 1024) + " KiB");
}

}  // namespace cleave::test
