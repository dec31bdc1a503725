// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_words.h"

#include <cstdio>
#include <utility>

#include "agent/codec_option.h"
#include "agent/monthly_cost.h"
#include "agent/trade_options.h"

namespace cleave::agent {
namespace {

std::string milliseconds_text(std::uint64_t ns) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f ms", static_cast<double>(ns) / 1e6);
  return text;
}

std::string amount_text(planner::Objective objective, const planner::ObjectivePoint& point) {
  switch (objective) {
    case planner::Objective::kLatency:
      return milliseconds_text(point.latency_ns);
    case planner::Objective::kEdgeMemory:
      return std::to_string(point.memory_bytes) + " bytes";
    case planner::Objective::kEnergy:
      return energy_amount_text(point.energy_uj);
    case planner::Objective::kCost:
      return "EUR " + euro_text(point.cost_ueur) + " a million pictures";
  }
  return "?";
}

// What the best in an objective is called.
const char* best_text(planner::Objective objective) {
  switch (objective) {
    case planner::Objective::kLatency:
      return "the fastest";
    case planner::Objective::kEdgeMemory:
      return "the deepest";
    case planner::Objective::kEnergy:
      return "the one of least energy (modelled)";
    case planner::Objective::kCost:
      return "the cheapest";
  }
  return "?";
}

std::string describe_lmos(const Plan& plan, const std::string& name, FrontPick pick) {
  const planner::Decision& decision = plan.decision;
  const planner::Objective objective = decision.objectives.optimized;
  const std::string time = milliseconds_text(decision.chosen.latency_ns);
  const std::string amount = objective == planner::Objective::kEdgeMemory
                                 ? ""
                                 : " and " + amount_text(objective, decision.chosen);
  const std::string fastest = "; the fastest takes " + milliseconds_text(decision.ideal.latency_ns);
  if (pick == FrontPick::kKnee)
    return name + " is the knee of the front, at " + time + amount + fastest;
  if (pick == FrontPick::kBest) {
    return name + " is " + best_text(objective) + " of all, at " + time + amount + fastest;
  }
  if (decision.reason == planner::Reason::kLiteralRank) {
    return name + " is ranked first by the literal algorithm, at " + time + amount;
  }
  const std::string budget = milliseconds_text(decision.budget);
  if (decision.reason == planner::Reason::kNothingWithinBudget) {
    return "nothing is within " + budget + "; " + name + " is the fastest, at " + time + amount;
  }
  return name + " is " + best_text(objective) + " within " + budget + ", at " + time + amount +
         fastest;
}

// " as int8"; of raw tensors nothing.
std::string codec_text(const PlannedSplit& row) {
  const CodecChoice codec = row.codec();
  return codec == CodecChoice{} ? "" : " as " + codec_name(codec);
}

}  // namespace

const char* PlannedSplit::picture_form() const {
  if (split.op_boundary > 0) return "";
  if (is_model_jpeg(sent_as)) return "JPEG at model size";
  return candidate.sends_jpeg ? "the file as it is" : "u8 pixels";
}

std::string bounds_text(std::uint16_t broken) {
  static constexpr std::pair<planner::Bound, const char*> kNames[] = {
      {planner::kBoundRam, "RAM"},
      {planner::kBoundStorage, "storage"},
      {planner::kBoundServerAbsent, "no server"},
      {planner::kBoundPrivacyFloor, "privacy floor"},
      {planner::kBoundServerRefused, "server refused"},
      {planner::kBoundDisagreement, "disagreement"},
      {planner::kBoundDeadline, "deadline"},
      {planner::kBoundEnergy, "energy budget"},
      {planner::kBoundCost, "cost bound"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((broken & bit) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

std::string describe(const Plan& plan, FrontPick pick) {
  const planner::Decision& decision = plan.decision;
  if (!plan.chosen) {
    if (decision.status == planner::PlanStatus::kInfeasible) {
      return "no split is feasible: " + bounds_text(decision.broken);
    }
    return "no split to choose from";
  }
  const PlannedSplit& row = plan.splits[*plan.chosen];
  const std::string of = row.split.op_boundary == 0 ? row.picture_form() : row.layer;
  const std::string name = "split " + std::to_string(row.split.layers_on_device) +
                           (of.empty() ? "" : " (" + of + ")") + codec_text(row) +
                           (row.variant_name.empty() ? "" : " in " + row.variant_name);
  const std::string time = milliseconds_text(decision.chosen.latency_ns);
  switch (decision.reason) {
    case planner::Reason::kBestWithinBudget:
    case planner::Reason::kNothingWithinBudget:
    case planner::Reason::kLiteralRank:
      return describe_lmos(plan, name, pick);
    case planner::Reason::kLeastLatency:
      return name + " has the least latency, " + time;
    case planner::Reason::kEdgeOnly:
      return "everything on the device, at " + time;
    case planner::Reason::kServerOnly:
      return "everything on the server (" + of + codec_text(row) + "), at " + time;
    case planner::Reason::kRandom:
      return name + " was drawn at random, at " + time;
    case planner::Reason::kNone:
      break;
  }
  return "no reason";
}

}  // namespace cleave::agent
