// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/plan_report.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

const char* faster_when_name(FasterWhen when) {
  switch (when) {
    case FasterWhen::kAlways:
      return "always";
    case FasterWhen::kNever:
      return "never";
    case FasterWhen::kSame:
      return "same";
    case FasterWhen::kBelow:
      return "below";
    case FasterWhen::kAbove:
      return "above";
  }
  return "?";
}

bool has_bandwidth(const BreakEven& even) {
  return even.when == FasterWhen::kBelow || even.when == FasterWhen::kAbove;
}

std::string break_even_text(const Baseline& baseline) {
  if (baseline.over_server_limit) return "over the server's limit";
  if (!baseline.times || !baseline.times->choice) return "";
  const BreakEven& even = *baseline.times->choice;
  if (even.when == FasterWhen::kSame) return "the same";
  if (!has_bandwidth(even)) return faster_when_name(even.when);
  char text[64];
  std::snprintf(text, sizeof(text), "%s %.3f Mbit/s", faster_when_name(even.when),
                static_cast<double>(even.bandwidth_bps) / 1e6);
  return text;
}

}  // namespace

nlohmann::ordered_json baseline_json(const Baseline& baseline) {
  Json json{{"name", baseline.name},
            {"bytes_up", baseline.bytes_up},
            {"bytes_source", baseline.bytes_source},
            {"over_server_limit", baseline.over_server_limit},
            {"edge_ns", baseline.edge_ns}};
  if (!baseline.times) return json;
  json["tx_ns"] = baseline.times->tx_ns;
  json["server_ns"] = baseline.times->server_ns;
  json["total_ns"] = baseline.times->total_ns;
  if (!baseline.times->choice) return json;
  const BreakEven& even = *baseline.times->choice;
  json["choice_is_faster"] = faster_when_name(even.when);
  json["break_even_bps"] = has_bandwidth(even) ? Json(even.bandwidth_bps) : Json(nullptr);
  return json;
}

void print_baselines(const std::vector<Baseline>& baselines, const PlanInputs& inputs) {
  const PictureForms& forms = inputs.forms;
  const bool at_p95 = forms.file_bytes && inputs.conditions.bytes_at == planner::Percentile::kP95;
  std::printf("\nTo beat (%s%s)\n%-42s %11s %9s %9s %9s %9s  %s\n",
              forms.pictures > 0 ? "medians of the pictures given"
              : forms.file_bytes ? "the profile's pictures; the JPEG at model size is an estimate"
                                 : "no picture given: the JPEG's bytes are an estimate",
              at_p95 ? "; of files what 95 in 100 stay within" : "", "", "bytes up", "edge ms",
              "tx ms", "server ms", "total ms", "the choice is faster");
  for (const Baseline& baseline : baselines) {
    const std::string bytes = (std::string_view(baseline.bytes_source) == "estimated" ? "~" : "") +
                              std::to_string(baseline.bytes_up);
    std::printf("%-42s %11s %9.2f", baseline.description, bytes.c_str(),
                static_cast<double>(baseline.edge_ns) / 1e6);
    if (baseline.times) {
      std::printf(" %9.2f %9.2f %9.2f", static_cast<double>(baseline.times->tx_ns) / 1e6,
                  static_cast<double>(baseline.times->server_ns) / 1e6,
                  static_cast<double>(baseline.times->total_ns) / 1e6);
    } else {
      std::printf(" %9s %9s %9s", "-", "-", "-");
    }
    std::printf("  %s\n", break_even_text(baseline).c_str());
  }
}

}  // namespace cleave::agent
