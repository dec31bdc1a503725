// SPDX-License-Identifier: Apache-2.0
#include "agent/split_planner.h"

#include <algorithm>
#include <span>
#include <utility>

#include "agent/codec_option.h"
#include "agent/front_picks.h"
#include "agent/plan_words.h"
#include "engine/executor.h"
#include "engine/weights.h"
#include "planner/fixed_point.h"
#include "planner/pareto.h"
#include "schemas/generated/wire_generated.h"

namespace cleave::agent {
namespace {

std::uint64_t sum_of(std::span<const std::uint64_t> times_ns) {
  std::uint64_t sum = 0;
  for (const std::uint64_t ns : times_ns) sum = planner::saturating_add(sum, ns);
  return sum;
}

// The pick takes the place of the rank's choice; what is infeasible stays so.
void take_pick(FrontPick pick, std::span<const planner::Score> scores,
               std::span<const planner::CandidateIndex> front, planner::Decision& decision) {
  if (pick == FrontPick::kByRank || decision.status != planner::PlanStatus::kOk) return;
  const planner::ObjectivePair& pair = decision.objectives;
  const auto index = pick == FrontPick::kKnee ? knee_of_front(scores, front, pair)
                                              : best_on_front(scores, front, pair.optimized);
  if (!index) return;
  const planner::Score& score = scores[*index];
  decision.index = *index;
  decision.chosen = {score.latency_ns, score.memory_bytes, score.energy_uj, score.cost_ueur};
  // Nothing bounds the latency of a pick.
  decision.budget = UINT64_MAX;
}

std::vector<std::optional<std::size_t>> find_dominating(const Plan& plan) {
  std::vector<std::optional<std::size_t>> found(plan.splits.size());
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const planner::Score& score = plan.splits[i].score;
    if (score.broken != 0 || score.on_front) continue;
    const auto by = std::ranges::find_if(plan.front, [&](std::size_t front) {
      return planner::dominates(plan.splits[front].score, score, plan.decision.objectives);
    });
    if (by != plan.front.end()) found[i] = *by;
  }
  return found;
}

}  // namespace

Result<SplitPlanner> SplitPlanner::create(const ModelFile& model, std::uint32_t variant_index,
                                          std::uint64_t fixed_overhead_bytes, bool has_weight_cache,
                                          Preference preference) {
  const fbs::Model& header = model.header();
  const fbs::Variant& variant = *header.variants()->Get(variant_index);
  SplitPlanner planner;
  planner.variant_name_ = variant.name()->str();
  planner.variant_ = variant_index;
  planner.fixed_overhead_bytes_ = fixed_overhead_bytes;
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
  planner.held_ops_ = held_ops(model, variant_index);
  std::uint64_t stored = 0;
  OpIndex counted = 0;
  for (std::size_t i = 0; i < planner.splits_.size(); ++i) {
    const Split& split = planner.splits_[i];
    for (; counted < split.op_boundary; ++counted) {
      stored += weight_bytes(*variant.ops()->Get(counted));
      if (has_weight_cache) stored += weight_cache_bytes(variant, counted, preference);
    }
    const std::uint64_t memory = planner.heads_[i].total();
    const std::uint64_t besides =
        planner.pixel_bytes_ + (split.op_boundary == 0 ? kPictureOtherBytes : 0);
    planner.cuts_.push_back({.op_boundary = split.op_boundary,
                             .split = static_cast<std::uint16_t>(split.layers_on_device),
                             .boundary_bytes = cuts[split.op_boundary].boundary_bytes,
                             .edge_memory_bytes = memory,
                             .edge_ram_bytes = planner::saturating_add(
                                 planner::saturating_add(fixed_overhead_bytes, besides), memory),
                             // What is not here does not fit, whatever the cap.
                             .edge_storage_bytes = split.op_boundary > planner.held_ops_
                                                       ? UINT64_MAX
                                                       : header_bytes + stored});
    planner.layers_.push_back(
        split.layers_on_device == 0
            ? ""
            : header.layers()->Get(split.layers_on_device - 1)->name()->str());
  }
  planner.edge_op_ns_.assign(variant.ops()->size(), 0);
  planner.most_cuts_ = planner.cuts_;
  planner.split_codecs_.resize(planner.splits_.size());
  return planner;
}

Status SplitPlanner::use_codecs(const CutCodecs& codecs) {
  std::vector<SplitCodecs> found(splits_.size());
  std::vector<std::uint64_t> most_ram(splits_.size(), 0);
  std::size_t first = 0;
  for (std::size_t c = 0; c < codecs.cuts().size(); ++c) {
    const CodecsAtCut& cut = codecs.cuts()[c];
    const std::size_t i = index_of(cut.op_boundary);
    const bool crosses = cut.op_boundary < edge_op_ns_.size();
    if (!crosses || cuts_[i].op_boundary != cut.op_boundary) {
      return {StatusCode::kMismatch, "codecs of a cut where no layer ends"};
    }
    for (const CutCodec& codec : cut.codecs) {
      if (is_model_jpeg(codec.choice) == (cut.op_boundary == 0)) continue;
      return {StatusCode::kMismatch, "pictures cross at cut 0, and tensors at the others"};
    }
    found[i] = {.cut = c, .first = first};
    first += cut.codecs.size();
    for (const CutCodec& codec : cut.codecs) most_ram[i] = std::max(most_ram[i], codec.ram_bytes);
  }
  codecs_ = codecs;
  split_codecs_ = std::move(found);
  decode_ns_.clear();
  most_cuts_ = cuts_;
  for (std::size_t i = 0; i < cuts_.size(); ++i) {
    most_cuts_[i].edge_ram_bytes = planner::saturating_add(cuts_[i].edge_ram_bytes, most_ram[i]);
  }
  return Status::ok();
}

bool SplitPlanner::offers_model_jpeg(std::uint8_t quality) const {
  const SplitCodecs& here = split_codecs_.front();
  const CodecChoice wanted{.codec = fbs::Codec::JpegModelSize, .quality = quality};
  return here.cut && std::ranges::any_of(codecs_.cuts()[*here.cut].codecs,
                                         [&](const auto& codec) { return codec.choice == wanted; });
}

std::uint64_t SplitPlanner::codec_decode_ns(OpIndex op_boundary, const CodecChoice& choice) const {
  const std::uint64_t said_ns = said_decode_ns(op_boundary, choice);
  // Of a server that says nothing of it, no more than of a file that it resizes as well.
  return said_ns == 0 && is_model_jpeg(choice) ? server_input_ns_ : said_ns;
}

std::uint64_t SplitPlanner::said_decode_ns(OpIndex op_boundary, const CodecChoice& choice) const {
  const SplitCodecs& here = split_codecs_[index_of(op_boundary)];
  if (!here.cut || decode_ns_.empty()) return 0;
  const std::vector<CutCodec>& codecs = codecs_.cuts()[*here.cut].codecs;
  const auto found = std::ranges::find(codecs, choice, &CutCodec::choice);
  if (found == codecs.end()) return 0;
  return decode_ns_[here.first + static_cast<std::size_t>(found - codecs.begin())];
}

void SplitPlanner::add_overhead(std::uint64_t bytes) {
  fixed_overhead_bytes_ = planner::saturating_add(fixed_overhead_bytes_, bytes);
  for (auto* costs : {&cuts_, &most_cuts_}) {
    for (planner::CutCost& cut : *costs) {
      cut.edge_ram_bytes = planner::saturating_add(cut.edge_ram_bytes, bytes);
    }
  }
}

// For an op between two splits, that of the deeper.
std::size_t SplitPlanner::index_of(OpIndex op_boundary) const {
  const auto at = std::ranges::lower_bound(cuts_, op_boundary, {}, &planner::CutCost::op_boundary);
  return static_cast<std::size_t>(std::min(at, cuts_.end() - 1) - cuts_.begin());
}

const planner::CutCost& SplitPlanner::cost_at(OpIndex op_boundary) const {
  return most_cuts_[index_of(op_boundary)];
}

bool SplitPlanner::holds(OpIndex op_boundary) const { return op_boundary <= held_ops_; }

std::uint64_t SplitPlanner::ram_bytes_to_finish(OpIndex op_boundary) const {
  if (!holds(static_cast<OpIndex>(edge_op_ns_.size()))) return UINT64_MAX;
  const std::size_t index = index_of(op_boundary);
  const std::uint64_t codec_bytes = most_cuts_[index].edge_ram_bytes - cuts_[index].edge_ram_bytes;
  return planner::saturating_add(
      cuts_.back().edge_ram_bytes,
      planner::saturating_add(codec_bytes, planner::saturating_add(heads_[index].arena_bytes,
                                                                   cuts_[index].boundary_bytes)));
}

Status SplitPlanner::set_edge_profile(const ProfileData& profile) {
  const VariantProfile* variant = find_variant(profile, variant_name_);
  return set_edge_table({.op_ns = op_ns_in(profile),
                         .input_ns = profile.input_ns,
                         .threads = variant == nullptr ? 1 : variant->threads,
                         .speed = {.clock_khz = profile.clock_khz, .cores = profile.cores}});
}

Status SplitPlanner::set_edge_table(const EdgeTable& table) {
  if (table.op_ns.size() != edge_op_ns_.size()) {
    return {StatusCode::kMismatch, "the device's profile has no table of " + variant_name_};
  }
  measured_ = table;
  scale_edge_times();
  return Status::ok();
}

void SplitPlanner::set_device_speed(const DeviceSpeed& now) {
  if (now == speed_) return;
  speed_ = now;
  scale_edge_times();
}

void SplitPlanner::scale_edge_times() {
  const TimeScale scale = edge_scale();
  std::ranges::transform(measured_.op_ns, edge_op_ns_.begin(),
                         [&](std::uint64_t ns) { return scale.apply(ns); });
  // One thread decodes.
  input_ns_ = time_scale(measured_.speed, speed_, 1).apply(measured_.input_ns);
}

Status SplitPlanner::set_server_profile(const ProfileData& profile) {
  return set_server_table(op_ns_in(profile), profile.input_ns, decode_ns_in(profile));
}

Status SplitPlanner::set_server_table(const std::vector<std::uint64_t>& op_ns,
                                      std::uint64_t input_ns,
                                      const std::vector<std::uint64_t>& decode_ns) {
  if (op_ns.size() != edge_op_ns_.size()) {
    return {StatusCode::kMismatch, "the server's profile has no table of " + variant_name_};
  }
  if (!decode_ns.empty() && decode_ns.size() != codecs_.codec_count()) {
    return {StatusCode::kMismatch, "the server's times are of other codecs"};
  }
  decode_ns_ = decode_ns;
  server_op_ns_ = op_ns;
  server_input_ns_ = input_ns;
  return Status::ok();
}

std::vector<std::uint64_t> SplitPlanner::op_ns_in(const ProfileData& profile) const {
  const VariantProfile* variant = find_variant(profile, variant_name_);
  return variant == nullptr ? std::vector<std::uint64_t>() : variant->op_median_ns;
}

std::vector<std::uint64_t> SplitPlanner::decode_ns_in(const ProfileData& profile) const {
  std::vector<std::uint64_t> times = decode_times(codecs_, profile, variant_name_);
  const bool is_known = std::ranges::any_of(times, [](std::uint64_t ns) { return ns > 0; });
  return is_known ? times : std::vector<std::uint64_t>();
}

std::uint64_t SplitPlanner::edge_ops_ns(OpIndex op_boundary) const {
  return sum_of(std::span(edge_op_ns_).first(op_boundary));
}

std::uint64_t SplitPlanner::server_ops_ns(OpIndex op_boundary) const {
  return has_server_profile() ? sum_of(std::span(server_op_ns_).subspan(op_boundary)) : 0;
}

std::uint64_t SplitPlanner::server_only_ns(bool decodes) const {
  return planner::saturating_add(decodes ? server_input_ns_ : 0, server_ops_ns(0));
}

Plan SplitPlanner::decide(const PictureCost& picture, const planner::Conditions& conditions,
                          const planner::Request& request, const TableCorrections& corrections,
                          FrontPick pick) const {
  const SplitPlanner* alone = this;
  return decide_among({&alone, 1}, picture, conditions, request, corrections, pick);
}

Plan SplitPlanner::decide_among(std::span<const SplitPlanner* const> variants,
                                const PictureCost& picture, const planner::Conditions& conditions,
                                const planner::Request& request,
                                const TableCorrections& corrections, FrontPick pick) {
  planner::Conditions real = conditions;
  real.link.available = conditions.link.available && variants.front()->has_server_profile();
  Plan plan;
  for (const SplitPlanner* variant : variants) {
    const std::size_t begin = plan.splits.size();
    if (begin + variant->most_rows() > planner::kMaxCandidates) break;
    const bool server = real.link.available && variant->has_server_profile();
    variant->append_rows(picture, server, corrections, plan.splits);
    if (variants.size() == 1) continue;
    if (real.link.available && !server) {
      plan.splits.erase(plan.splits.begin() + static_cast<std::ptrdiff_t>(begin),
                        plan.splits.end() - 1);
    }
    for (PlannedSplit& row : std::span(plan.splits).subspan(begin)) {
      row.variant_name = variant->variant_name_;
    }
  }
  std::vector<planner::Candidate> candidates;
  for (const PlannedSplit& row : plan.splits) candidates.push_back(row.candidate);
  std::vector<planner::Score> scores(candidates.size());
  std::vector<planner::CandidateIndex> front(candidates.size());
  plan.decision = planner::plan(candidates, real, request, {scores, front});
  front.resize(plan.decision.front_size);
  if (request.policy == planner::Policy::kLmos) take_pick(pick, scores, front, plan.decision);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const planner::Candidate& candidate = candidates[i];
    plan.splits[i].score = scores[i];
    plan.splits[i].bytes_up = conditions.bytes_at == planner::Percentile::kP95
                                  ? candidate.boundary_bytes_p95
                                  : candidate.boundary_bytes;
  }
  plan.front.assign(front.begin(), front.end());
  plan.dominated_by = find_dominating(plan);
  if (plan.decision.index != planner::kNoCandidate) plan.chosen = plan.decision.index;
  plan.why = describe(plan, pick);
  return plan;
}

}  // namespace cleave::agent
