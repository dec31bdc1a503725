// SPDX-License-Identifier: Apache-2.0
//
// What is counted of a run's acts, and how the server that lived through them is judged.
#include <algorithm>

#include "tests/integration/faults/fault_run.h"

namespace cleave::test {
namespace {

// Of the agent that drains: nothing is in its way.
constexpr const char* kLongTimeout = "30s";
// Arenas, buffers and stacks that the first requests of a server leave with it for the next.
constexpr std::uint64_t kRoomOfFirstRequests = 12 << 20;

}  // namespace

void FaultRun::count(const Act& act) {
  FaultTally::Count& count = tally_.of(act.kind);
  ++count.acts;
  if (is_counted_by_effect(act.kind) || !agent_->is_running()) return;
  if (!is_of_link(act.kind) || relay_.open_connections() > 0) ++count.met;
}

void FaultRun::count_effects() {
  const TcpRelay::Spoils spoils = relay_.spoils();
  tally_.of(ActKind::kFlipUp).met = spoils.flips_up;
  tally_.of(ActKind::kFlipDown).met = spoils.flips_down;
  if (plan_.is_over_tls) tally_.flips_over_tls = spoils.flips_up + spoils.flips_down;
  tally_.of(ActKind::kCutUp).met = spoils.cuts_up;
  tally_.of(ActKind::kCutDown).met = spoils.cuts_down;
  tally_.of(ActKind::kSlowAnswers).met = spoils.delays;
  tally_.of(ActKind::kFillDisk).met = agent_system_.control().refused_writes;
  tally_.calls_interrupted = agent_system_.control().interrupted_calls;
  tally_.cache_writes_refused = server_system_.control().refused_writes;
}

// What it held when it had announced itself is what it holds when everybody is gone.
void FaultRun::judge_figures(const char* when) {
  const std::uint64_t room = bench_.is_instrumented() ? kAnyRss : kRoomOfFirstRequests;
  const ProcessFigures now = await_figures(server_->pid(), server_start_, room);
  for (const std::string& grown : what_grew("the server", server_start_, now, room)) {
    judge_.complain(grown + ", " + when);
  }
  const std::uint64_t least = std::min(now.rss_bytes, server_start_.rss_bytes);
  tally_.most_growth_bytes = std::max(tally_.most_growth_bytes, now.rss_bytes - least);
}

// The server that lived through the last of the faults, whatever these were, if one did.
void FaultRun::judge_living_server() {
  if (server_ == nullptr) return;
  if (const auto code = server_->poll_exit()) {
    judge_.complain("a server ended by itself, with " + std::to_string(*code));
    server_.reset();
    return;
  }
  mend_link();
  relay_.close_connections();
  judge_figures("after the faults");
  ++tally_.servers_judged;
  tally_.acts_outlived += acts_outlived_;
}

// It answers what waits, and is then as it was.
void FaultRun::judge_server() {
  if (server_ == nullptr) return;
  PhaseOutcome outcome;
  outcome.version = bench_.version_of(model_);
  agent_ = start_agent(agent_words({}, kLongTimeout));
  if (!plan_.has_spool) {
    // Nothing can wait: a run without pictures has nothing to do.
    (void)agent_->wait();
    agent_.reset();
  } else {
    end_agent(outcome);
    judge_.judge_run(outcome);
    judge_.judge_end();
  }
  judge_figures("after the drain");
}

}  // namespace cleave::test
