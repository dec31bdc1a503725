// SPDX-License-Identifier: Apache-2.0
//
// Where to cut for one picture: what the link was seen to do, the plan, and when it is changed.
#include <algorithm>
#include <utility>

#include "agent/pipeline.h"

namespace cleave::agent {
namespace {

std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
}

}  // namespace

bool only_server_is_missing(const Plan& plan, planner::Policy policy) {
  return std::ranges::any_of(plan.splits, [&](const PlannedSplit& row) {
    const bool may_be_chosen =
        policy != planner::Policy::kServerOnly || row.split.layers_on_device == 0;
    return may_be_chosen && policy != planner::Policy::kEdgeOnly &&
           row.score.broken == planner::kBoundServerAbsent;
  });
}

asio::awaitable<Status> Pipeline::choose_split(Work& work) {
  Status status;
  if (options_.fixed_split) {
    work.split = *options_.fixed_split;
    if (planner_->cost_at(work.split.op_boundary).edge_ram_bytes + work.file.size() >
        options_.caps.ram_bytes) {
      status = {StatusCode::kResourceExhausted,
                work.record.image + ": with its file this split is over the RAM cap"};
    }
  } else {
    Status reached(StatusCode::kUnavailable, "no server was given");
    if (connection_ != nullptr) {
      co_await wait_out_pause(work, planner_->cost_at(op_count_).edge_ram_bytes + work.file.size());
      reached = co_await connection_->ensure_ready(work.latest);
    }
    status = reached.code() == StatusCode::kMismatch ? reached : plan_split(work, reached);
  }
  work.record.split = work.split.layers_on_device;
  work.record.planned_split = work.record.split;
  co_return status;
}

planner::Link Pipeline::current_link(bool reached) const {
  planner::Link link = link_.drifted(idle_steps());
  if (options_.keep_link) {
    link = options_.initial_link;
    if (reached) link.rtt_ns = connection_->rtt_ns();
  }
  if (options_.keep_rtt) link.rtt_ns = options_.initial_link.rtt_ns;
  link.available = reached;
  return link;
}

std::uint64_t Pipeline::idle_steps() const {
  return static_cast<std::uint64_t>((Clock::now() - last_transfer_) / options_.link_drift);
}

void Pipeline::note_round_trip() {
  if (connection_->handshakes() == handshakes_seen_) return;
  handshakes_seen_ = connection_->handshakes();
  link_.observe_round_trip(connection_->rtt_ns());
}

void Pipeline::observe_link(std::uint64_t bytes_up, std::uint64_t elapsed_ns) {
  link_.drift(idle_steps());
  note_round_trip();
  link_.observe({.bytes_up = bytes_up, .elapsed_ns = elapsed_ns});
  last_transfer_ = Clock::now();
}

Status Pipeline::plan_split(Work& work, const Status& reached) {
  if (reached.is_ok()) {
    note_round_trip();
    if (connection_->server_profile()) {
      CLEAVE_RETURN_IF_ERROR(planner_->set_server_profile(*connection_->server_profile()));
    }
  }
  planner::Request request = options_.request;
  request.seed = random_seed_++;
  const PictureCost picture{server_takes_file(work), work.file.size()};
  const planner::Link link = current_link(reached.is_ok());
  planner::Caps caps = options_.caps;
  caps.ram_bytes -= std::min<std::uint64_t>(caps.ram_bytes, work.file.size());
  Plan plan = planner_->decide(picture, link, caps, request);
  if (!plan.chosen && !reached.is_ok()) {
    CLEAVE_RETURN_IF_ERROR(
        plan_without_server(work, plan, request, picture, caps, reached.message()));
  }
  if (!plan.chosen) return {StatusCode::kResourceExhausted, plan.why};
  if (connection_ != nullptr && !reached.is_ok()) work.record.fallback = reached.message();
  std::size_t chosen = settle(plan, request.policy);
  if (is_past_timeout(plan.splits[chosen])) {
    hysteresis_.reset();  // what was proposed may still be in time
    chosen = settle(plan, request.policy);
  }
  if (is_past_timeout(plan.splits[chosen])) {
    request.policy = planner::Policy::kEdgeOnly;
    const Plan alone = planner_->decide(picture, link, caps, request);
    if (alone.chosen) {  // else the server is asked all the same: the prediction may be wrong
      work.record.fallback = "the server's answer is expected after " +
                             std::to_string(plan.splits[chosen].score.latency_ns / 1'000'000) +
                             " ms, which is past --timeout";
      hysteresis_.reset();
      chosen = *alone.chosen;
    }
  }
  work.split = plan.splits[chosen].split;
  return Status::ok();
}

// The split of `plan` to use: what was chosen, unless a change to it is not worth it yet.
// REQUIRES: plan.chosen.
std::size_t Pipeline::settle(const Plan& plan, planner::Policy policy) {
  if (policy != planner::Policy::kLmos) return *plan.chosen;
  std::vector<planner::Score> scores;
  for (const PlannedSplit& row : plan.splits) scores.push_back(row.score);
  return hysteresis_.settle(plan.decision, scores, monotonic_ns());
}

bool Pipeline::is_past_timeout(const PlannedSplit& row) const {
  return row.candidate.needs_server &&
         row.score.latency_ns > static_cast<std::uint64_t>(options_.timeout.count());
}

// The policy finds nothing while the server is not there: the device answers, if the caps allow.
Status Pipeline::plan_without_server(Work& work, Plan& plan, planner::Request& request,
                                     const PictureCost& picture, const planner::Caps& caps,
                                     const std::string& why) const {
  if ((plan.decision.broken & planner::kBoundServerAbsent) == 0) return Status::ok();
  const bool server_would_do = only_server_is_missing(plan, request.policy);
  request.policy = planner::Policy::kEdgeOnly;
  plan = planner_->decide(picture, current_link(false), caps, request);
  if (plan.chosen) {
    work.record.fallback = why;
  } else if (server_would_do) {
    return {StatusCode::kUnavailable, why + "; on the device alone, " + plan.why};
  }
  return Status::ok();
}

}  // namespace cleave::agent
