// SPDX-License-Identifier: Apache-2.0
#include "agent/split_planner.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "engine/executor.h"
#include "engine/weights.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

const VariantProfile* find_variant(const ProfileData& profile, const std::string& name) {
  for (const VariantProfile& variant : profile.variants) {
    if (variant.variant == name) return &variant;
  }
  return nullptr;
}

std::string milliseconds(std::uint64_t ns) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f ms", static_cast<double>(ns) / 1e6);
  return text;
}

std::string describe(const Plan& plan) {
  const planner::Decision& decision = plan.decision;
  if (!plan.chosen) {
    if (decision.status == planner::PlanStatus::kInfeasible) {
      return "no split is feasible: " + bounds_text(decision.broken);
    }
    return "no split to choose from";
  }
  const PlannedSplit& row = plan.splits[*plan.chosen];
  const std::string name = "split " + std::to_string(row.split.layers_on_device) +
                           (row.layer.empty() ? "" : " (" + row.layer + ")");
  const std::string time = milliseconds(decision.latency_ns);
  switch (decision.reason) {
    case planner::Reason::kDeepestWithinBudget:
      return name + " is the deepest within " + milliseconds(decision.budget_ns) + ", at " + time +
             "; the fastest takes " + milliseconds(decision.ideal.latency_ns);
    case planner::Reason::kNothingWithinBudget:
      return "nothing is within " + milliseconds(decision.budget_ns) + "; " + name +
             " is the fastest, at " + time;
    case planner::Reason::kLiteralRank:
      return name + " is ranked first by the literal algorithm, at " + time;
    case planner::Reason::kLeastLatency:
      return name + " has the least latency, " + time;
    case planner::Reason::kEdgeOnly:
      return "everything on the device, at " + time;
    case planner::Reason::kServerOnly:
      return "everything on the server, at " + time;
    case planner::Reason::kRandom:
      return name + " was drawn at random, at " + time;
    case planner::Reason::kNone:
      break;
  }
  return "no reason";
}

}  // namespace

std::string bounds_text(std::uint8_t broken) {
  static constexpr std::pair<planner::Bound, const char*> kNames[] = {
      {planner::kBoundRam, "RAM"},
      {planner::kBoundStorage, "storage"},
      {planner::kBoundServerAbsent, "no server"},
      {planner::kBoundPrivacyFloor, "privacy floor"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((broken & bit) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

Result<SplitPlanner> SplitPlanner::create(const ModelFile& model, std::uint32_t variant_index,
                                          std::uint64_t fixed_overhead_bytes, bool has_weight_cache,
                                          Preference preference) {
  const fbs::Model& header = model.header();
  const fbs::Variant& variant = *header.variants()->Get(variant_index);
  SplitPlanner planner;
  planner.variant_name_ = variant.name()->str();
  planner.splits_ = list_splits(header, variant_index);
  planner.pixel_bytes_ = element_count(*variant.tensors()->Get(variant.input())->shape());
  const std::vector<Cut> cuts = find_cuts(header, variant_index);
  const std::uint64_t header_bytes = header.segments() == nullptr || header.segments()->size() == 0
                                         ? model.file_bytes()
                                         : header.segments()->Get(0)->offset();
  std::vector<OpIndex> boundaries;
  for (const Split& split : planner.splits_) boundaries.push_back(split.op_boundary);
  CLEAVE_ASSIGN_OR_RETURN(planner.heads_,
                          plan_head_memory(header, variant_index, boundaries, preference));
  std::uint64_t stored = 0;
  OpIndex counted = 0;
  for (std::size_t i = 0; i < planner.splits_.size(); ++i) {
    const Split& split = planner.splits_[i];
    for (; counted < split.op_boundary; ++counted) {
      stored += weight_bytes(*variant.ops()->Get(counted));
      if (has_weight_cache) stored += weight_cache_bytes(variant, counted, preference);
    }
    const std::uint64_t memory = planner.heads_[i].total();
    planner.cuts_.push_back({.op_boundary = split.op_boundary,
                             .split = static_cast<std::uint16_t>(split.layers_on_device),
                             .boundary_bytes = cuts[split.op_boundary].boundary_bytes,
                             .edge_memory_bytes = memory,
                             .edge_ram_bytes = fixed_overhead_bytes + planner.pixel_bytes_ + memory,
                             .edge_storage_bytes = header_bytes + stored});
    planner.layers_.push_back(
        split.layers_on_device == 0
            ? ""
            : header.layers()->Get(split.layers_on_device - 1)->name()->str());
  }
  planner.edge_op_ns_.assign(variant.ops()->size(), 0);
  return planner;
}

const planner::CutCost& SplitPlanner::cost_at(OpIndex op_boundary) const {
  return *std::ranges::lower_bound(cuts_, op_boundary, {}, &planner::CutCost::op_boundary);
}

std::uint64_t SplitPlanner::ram_bytes_to_finish(OpIndex op_boundary) const {
  const planner::CutCost& head = cost_at(op_boundary);
  const auto index = static_cast<std::size_t>(&head - cuts_.data());
  return cuts_.back().edge_ram_bytes + heads_[index].arena_bytes + head.boundary_bytes;
}

Status SplitPlanner::set_edge_profile(const ProfileData& profile) {
  const VariantProfile* variant = find_variant(profile, variant_name_);
  if (variant == nullptr || variant->op_median_ns.size() != edge_op_ns_.size()) {
    return {StatusCode::kMismatch, "the device's profile has no table of " + variant_name_};
  }
  edge_op_ns_ = variant->op_median_ns;
  input_ns_ = profile.input_ns;
  return Status::ok();
}

Status SplitPlanner::set_server_profile(const ProfileData& profile) {
  const VariantProfile* variant = find_variant(profile, variant_name_);
  if (variant == nullptr || variant->op_median_ns.size() != edge_op_ns_.size()) {
    return {StatusCode::kMismatch, "the server's profile has no table of " + variant_name_};
  }
  server_op_ns_ = variant->op_median_ns;
  server_input_ns_ = profile.input_ns;
  return Status::ok();
}

std::uint64_t SplitPlanner::server_only_ns(bool decodes) const {
  std::uint64_t sum = decodes ? server_input_ns_ : 0;
  for (const std::uint64_t ns : server_op_ns_) sum = planner::saturating_add(sum, ns);
  return sum;
}

Plan SplitPlanner::decide(const PictureCost& picture, const planner::Link& link,
                          const planner::Caps& caps, const planner::Request& request) const {
  std::vector<planner::CutCost> cuts = cuts_;
  std::vector<planner::Coding> codings;
  for (std::uint32_t i = 0; i < cuts.size(); ++i) {
    const bool whole_picture = cuts[i].op_boundary == 0;
    // A JPEG goes as it is; everything else is decoded and resized here first.
    if (!whole_picture || !picture.is_jpeg) cuts[i].edge_fixed_ns = input_ns_;
    codings.push_back({.cut_index = i,
                       .coded_bytes = !whole_picture    ? cuts[i].boundary_bytes
                                      : picture.is_jpeg ? picture.file_bytes
                                                        : pixel_bytes_,
                       .decode_ns = whole_picture && picture.is_jpeg ? server_input_ns_ : 0});
  }
  // Without a server's table only the device is feasible, and its own times stand in unused.
  const bool server = link.available && has_server_profile();
  planner::Link real_link = link;
  real_link.available = server;
  const planner::CostTable table{.edge_op_ns = edge_op_ns_,
                                 .server_op_ns = server ? server_op_ns_ : edge_op_ns_,
                                 .cuts = cuts,
                                 .codings = codings};
  std::vector<planner::Candidate> candidates(cuts.size());
  const planner::Built built = planner::build_candidates(table, candidates);
  candidates.resize(built.count);

  Plan plan;
  std::vector<planner::Score> scores(candidates.size());
  std::vector<planner::CandidateIndex> front(candidates.size());
  plan.decision = planner::plan(candidates, real_link, caps, request, {scores, front});
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    plan.splits.push_back({splits_[i], layers_[i], candidates[i], scores[i]});
  }
  plan.front.assign(front.begin(), front.begin() + plan.decision.front_size);
  if (plan.decision.index != planner::kNoCandidate) plan.chosen = plan.decision.index;
  plan.why = describe(plan);
  return plan;
}

}  // namespace cleave::agent
