// SPDX-License-Identifier: Apache-2.0
#include "agent/online_planner.h"

#include <algorithm>
#include <span>
#include <utility>

#include "agent/codec_option.h"
#include "agent/decision_trace.h"
#include "planner/fixed_point.h"

namespace cleave::agent {
namespace {

using planner::saturating_add;
using planner::saturating_muldiv_up;
using planner::saturating_sub;

constexpr std::uint64_t kMiB = 1 << 20;

// A decision changes at most this often, and only for a gain that pays for packing another head.
constexpr planner::SwitchRule kSwitchRule{
    .dwell_ns = 2'000'000'000, .switching_cost_ns = 50'000'000, .requests_per_switch = 100};

PartTimes parts_of(const PlannedSplit& row) {
  PartTimes parts{.edge_ns = row.candidate.edge_latency_ns};
  if (row.candidate.needs_server) {
    parts.link_ns = row.score.tx_ns;
    parts.server_ns =
        saturating_sub(row.score.latency_ns, saturating_add(parts.edge_ns, parts.link_ns));
  }
  return parts;
}

// The bounds that a picture may break, if it must; the others cannot or must not be.
constexpr std::uint16_t kSoftBounds =
    planner::kBoundDeadline | planner::kBoundEnergy | planner::kBoundCost;

// Of each cut the row that stands for it, in their order: in which form a picture goes and how
// tensors are coded can be another for every picture, at no cost. What was chosen stands for its
// own cut, else what is feasible and takes least.
std::vector<std::size_t> best_of_each_cut(const Plan& plan) {
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    const PlannedSplit& row = plan.splits[i];
    if (best.empty() || plan.splits[best.back()].split.op_boundary != row.split.op_boundary) {
      best.push_back(i);
      continue;
    }
    if (plan.chosen == best.back()) continue;
    const planner::Score& held = plan.splits[best.back()].score;
    const bool is_feasible = row.score.broken == 0;
    const bool is_better = is_feasible != (held.broken == 0)
                               ? is_feasible
                               : is_feasible && row.score.latency_ns < held.latency_ns;
    if (is_better || plan.chosen == i) best.back() = i;
  }
  return best;
}

std::string past_timeout(std::uint64_t latency_ns) {
  return "the server's answer is expected after " + std::to_string(latency_ns / 1'000'000) +
         " ms, which is past --timeout";
}

}  // namespace

planner::Caps without_soft_bounds(const planner::Caps& caps) {
  planner::Caps hard = caps;
  const planner::Caps none;
  hard.deadline_ns = none.deadline_ns;
  hard.energy_budget_uj = none.energy_budget_uj;
  hard.cost_bound_ueur = none.cost_bound_ueur;
  return hard;
}

planner::Policy fastest_of(planner::Policy policy) {
  const bool chooses = policy == planner::Policy::kLmos || policy == planner::Policy::kRandom;
  return chooses ? planner::Policy::kLatencyOnly : policy;
}

bool only_server_is_missing(const Plan& plan, planner::Policy policy) {
  return std::ranges::any_of(plan.splits, [&](const PlannedSplit& row) {
    const bool may_be_chosen =
        policy != planner::Policy::kServerOnly || row.split.layers_on_device == 0;
    return may_be_chosen && policy != planner::Policy::kEdgeOnly &&
           row.score.broken == planner::kBoundServerAbsent;
  });
}

OnlinePlanner::OnlinePlanner(SplitPlanner* splits, const OnlineOptions& options,
                             DecisionTrace* trace)
    : splits_(splits),
      options_(options),
      trace_(trace),
      link_(options.initial_link),
      hysteresis_(kSwitchRule),
      seed_(options.request.seed),
      edge_ops_(options.link_drift_ns),
      server_ops_(options.link_drift_ns),
      input_ns_per_mib_(options.link_drift_ns),
      decode_ns_per_mib_(options.link_drift_ns),
      file_ns_(options.link_drift_ns),
      server_queue_ns_(options.link_drift_ns) {}

// A table that is refused leaves no trace: the replay of one must not meet it.
Status OnlinePlanner::take_handshake(const HandshakeSeen& seen) {
  const bool new_table =
      !seen.op_ns.empty() && !splits_->server_table_is(seen.op_ns, seen.input_ns, seen.decode_ns);
  if (new_table) {
    CLEAVE_RETURN_IF_ERROR(splits_->set_server_table(seen.op_ns, seen.input_ns, seen.decode_ns));
  }
  splits_->set_server_takes_codecs(seen.takes_codecs);
  splits_->set_server_takes_model_jpegs(seen.takes_model_jpegs);
  if (trace_ != nullptr) trace_->write(seen);
  handshake_rtt_ns_ = seen.rtt_ns;
  link_.observe_round_trip(seen.rtt_ns);
  if (!new_table) return Status::ok();
  server_ops_.reset();
  decode_ns_per_mib_.reset();
  server_queue_ns_.reset();
  // Candidates are the same, but their times are another machine's.
  hysteresis_.reset();
  return Status::ok();
}

void OnlinePlanner::take_speed(const DeviceSpeed& now) {
  if (trace_ != nullptr) trace_->write(now);
  edge_ops_.reset();
  input_ns_per_mib_.reset();
  file_ns_.reset();
  // At another speed each split costs something else: what was held has no better claim than
  // others.
  hysteresis_.reset();
  splits_->set_device_speed(now);
}

Result<Choice> OnlinePlanner::choose(const Situation& situation) {
  Result<Choice> choice = decide(situation);
  if (trace_ != nullptr) trace_->write(situation, choice);
  return choice;
}

Plan OnlinePlanner::plan_of(const Situation& situation, const planner::Link& link,
                            const planner::Request& request) const {
  const planner::Conditions conditions{
      .link = link, .caps = situation.caps, .energy = options_.energy, .prices = options_.prices};
  return splits_->decide(situation.picture, conditions, request,
                         corrections_for(situation.file_bytes, situation.now_ns), options_.pick);
}

Result<Choice> OnlinePlanner::decide(const Situation& situation) {
  Found found{.plan = {}, .request = options_.request, .fallback = {}};
  found.request.seed = seed_++;
  const Status status = find_plan(situation, found);
  if (status.is_ok()) return decide_among(situation, std::move(found));
  // An error here would run nothing, so nothing would ever show that the bounds can be kept again.
  if ((found.plan.decision.broken & kSoftBounds) == 0) return status;
  Situation hard = situation;
  hard.caps = without_soft_bounds(situation.caps);
  Found fastest{.plan = {}, .request = options_.request, .fallback = {}};
  fastest.request.policy = fastest_of(options_.request.policy);
  if (!find_plan(hard, fastest).is_ok()) return status;
  CLEAVE_ASSIGN_OR_RETURN(Choice choice, decide_among(hard, std::move(fastest)));
  for (const PlannedSplit& row : found.plan.splits) {
    if (row.split.op_boundary == choice.split.op_boundary &&
        row.candidate.sends_jpeg == choice.sends_file && row.codec() == choice.codec) {
      choice.bounds_missed = bounds_text(row.score.broken & kSoftBounds);
    }
  }
  return choice;
}

Status OnlinePlanner::find_plan(const Situation& situation, Found& found) const {
  const planner::Link link = link_at(situation.now_ns, situation.reached);
  found.plan = plan_of(situation, link, found.request);
  if (!found.plan.chosen && !situation.reached) {
    CLEAVE_RETURN_IF_ERROR(without_server(situation, found));
  }
  if (!found.plan.chosen) return {StatusCode::kResourceExhausted, found.plan.why};
  if (situation.has_server && !situation.reached) found.fallback = situation.unreached_why;
  return Status::ok();
}

// REQUIRES: found.plan.chosen.
Result<Choice> OnlinePlanner::decide_among(const Situation& situation, Found found) {
  std::size_t chosen = settle(found.plan, found.request.policy, situation.now_ns);
  if (is_past_timeout(found.plan.splits[chosen])) {
    hysteresis_.reset();  // what was proposed may still be in time
    chosen = settle(found.plan, found.request.policy, situation.now_ns);
  }
  if (is_past_timeout(found.plan.splits[chosen])) {
    found.request.policy = planner::Policy::kEdgeOnly;
    const std::uint64_t expected_ns = found.plan.splits[chosen].score.latency_ns;
    Plan alone = plan_of(situation, link_at(situation.now_ns, situation.reached), found.request);
    if (alone.chosen) {  // else the server is asked all the same: the prediction may be wrong
      found.fallback = past_timeout(expected_ns);
      hysteresis_.reset();
      chosen = *alone.chosen;
      found.plan = std::move(alone);
    }
  }
  const PlannedSplit& row = found.plan.splits[chosen];
  return Choice{.split = row.split,
                .sends_file = row.candidate.sends_jpeg,
                .codec = row.codec(),
                .fallback = std::move(found.fallback),
                .bounds_missed = {},
                .predicted = parts_of(row)};
}

// The policy finds nothing while the server is not there: the device answers, if the caps allow.
Status OnlinePlanner::without_server(const Situation& situation, Found& found) const {
  if ((found.plan.decision.broken & planner::kBoundServerAbsent) == 0) return Status::ok();
  const bool server_would_do = only_server_is_missing(found.plan, found.request.policy);
  found.request.policy = planner::Policy::kEdgeOnly;
  found.plan = plan_of(situation, link_at(situation.now_ns, false), found.request);
  if (found.plan.chosen) {
    found.fallback = situation.unreached_why;
  } else if (server_would_do) {
    return {StatusCode::kUnavailable,
            situation.unreached_why + "; on the device alone, " + found.plan.why};
  }
  return Status::ok();
}

PartTimes OnlinePlanner::predict(const Situation& situation, const Split& split,
                                 const CodecChoice& codec) const {
  const Plan plan =
      plan_of(situation, link_at(situation.now_ns, situation.reached), options_.request);
  const auto is_asked_for = [&](const PlannedSplit& row) { return row.codec() == codec; };
  const bool as_model_jpeg = is_model_jpeg(codec) && std::ranges::any_of(plan.splits, is_asked_for);
  for (const PlannedSplit& row : plan.splits) {
    // A JPEG whose split is given goes as it is, unless it is made another.
    const bool is_this_form =
        as_model_jpeg
            ? is_asked_for(row)
            : row.codec() == CodecChoice{} && row.candidate.sends_jpeg == situation.picture.is_jpeg;
    const bool other_form = split.op_boundary == 0 && !is_this_form;
    if (row.split.op_boundary != split.op_boundary || other_form) continue;
    const bool unknown = row.candidate.edge_latency_ns == 0 && split.op_boundary > 0;
    if (unknown || (row.score.broken & planner::kBoundServerAbsent) != 0) break;
    return parts_of(row);
  }
  return {};
}

// The split of `plan` to use: what was chosen, unless a change to it is not worth it yet.
// REQUIRES: plan.chosen.
std::size_t OnlinePlanner::settle(const Plan& plan, planner::Policy policy, std::uint64_t now_ns) {
  const bool follows_the_link =
      policy == planner::Policy::kLmos || policy == planner::Policy::kLatencyOnly;
  if (!follows_the_link) return *plan.chosen;
  const std::vector<std::size_t> places = best_of_each_cut(plan);
  planner::Decision decision = plan.decision;
  std::vector<planner::Score> scores;
  for (const std::size_t row : places) {
    if (row == *plan.chosen) {
      decision.index = static_cast<planner::CandidateIndex>(scores.size());
    }
    scores.push_back(plan.splits[row].score);
  }
  return places[hysteresis_.settle(decision, scores, now_ns)];
}

bool OnlinePlanner::is_past_timeout(const PlannedSplit& row) const {
  return row.candidate.needs_server && row.score.latency_ns > options_.timeout_ns;
}

planner::Link OnlinePlanner::link_at(std::uint64_t now_ns, bool reached) const {
  planner::Link link = link_.drifted(idle_steps(now_ns));
  if (options_.keep_link) {
    link = options_.initial_link;
    if (reached) link.rtt_ns = handshake_rtt_ns_;
  }
  if (options_.keep_rtt) link.rtt_ns = options_.initial_link.rtt_ns;
  if (const auto queue_ns = server_queue_ns_.median()) {
    link.server_queue_ns = faded(*queue_ns, 0, server_queue_ns_.steps(now_ns));
  }
  link.available = reached;
  return link;
}

std::uint64_t OnlinePlanner::idle_steps(std::uint64_t now_ns) const {
  if (last_transfer_ns_ == 0 || options_.link_drift_ns == 0) return 0;
  return saturating_sub(now_ns, last_transfer_ns_) / options_.link_drift_ns;
}

TableCorrections OnlinePlanner::corrections_for(std::uint64_t file_bytes,
                                                std::uint64_t now_ns) const {
  TableCorrections corrections{.edge_ops = edge_ops_.at(now_ns),
                               .server_ops = server_ops_.at(now_ns)};
  if (const auto ns_per_mib = input_ns_per_mib_.median()) {
    corrections.edge_input_ns = faded(saturating_muldiv_up(*ns_per_mib, file_bytes, kMiB),
                                      splits_->input_ns(), input_ns_per_mib_.steps(now_ns));
  }
  if (const auto ns_per_mib = decode_ns_per_mib_.median()) {
    corrections.server_decode_ns =
        faded(saturating_muldiv_up(*ns_per_mib, file_bytes, kMiB), splits_->server_input_ns(),
              decode_ns_per_mib_.steps(now_ns));
  }
  if (const auto ns = file_ns_.median()) {
    corrections.edge_file_ns = faded(*ns, 0, file_ns_.steps(now_ns));
  }
  return corrections;
}

void OnlinePlanner::observe(const Outcome& outcome) {
  if (trace_ != nullptr) trace_->write(outcome);
  observe_device(outcome);
  if (outcome.bytes_up == 0) return;
  link_.drift(idle_steps(outcome.now_ns));
  link_.observe({.bytes_up = outcome.bytes_up, .elapsed_ns = outcome.link_ns});
  last_transfer_ns_ = outcome.now_ns;
  observe_server(outcome);
}

void OnlinePlanner::observe_device(const Outcome& outcome) {
  if (!outcome.decoded) {
    if (outcome.input_ns > 0) file_ns_.observe(outcome.now_ns, outcome.input_ns);
  } else if (outcome.file_bytes > 0) {
    input_ns_per_mib_.observe(outcome.now_ns,
                              saturating_muldiv_up(outcome.input_ns, kMiB, outcome.file_bytes));
  }
  edge_ops_.observe(outcome.now_ns, splits_->edge_ops_ns(outcome.op_boundary), outcome.head_ns);
}

void OnlinePlanner::observe_server(const Outcome& outcome) {
  if (outcome.residence_ns == 0) return;
  server_ops_.observe(outcome.now_ns, splits_->server_ops_ns(outcome.op_boundary),
                      outcome.compute_ns);
  std::uint64_t in_tables_ns = outcome.compute_ns;
  if (outcome.sent_jpeg) {
    if (outcome.file_bytes > 0 && outcome.decode_ns > 0) {
      decode_ns_per_mib_.observe(outcome.now_ns,
                                 saturating_muldiv_up(outcome.decode_ns, kMiB, outcome.file_bytes));
    }
    in_tables_ns = saturating_add(in_tables_ns, outcome.decode_ns);
  } else if (splits_->codec_decode_ns(outcome.op_boundary, outcome.codec) > 0) {
    in_tables_ns = saturating_add(in_tables_ns, outcome.decode_ns);
  }
  server_queue_ns_.observe(outcome.now_ns, saturating_sub(outcome.residence_ns, in_tables_ns));
}

}  // namespace cleave::agent
