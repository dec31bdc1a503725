// SPDX-License-Identifier: Apache-2.0
//
// Keeps the books of one seed: which pictures were accepted, as spool, result log and the agent's
// own lines show, and that each of them ends once, and as it may.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/faults/fault_bench.h"
#include "tests/integration/faults/fault_plan.h"

namespace cleave::test {

// How one run of the agent ended, and what it printed.
struct PhaseOutcome {
  ModelVersion version{};        // of the model that it ran with
  std::size_t offered = 0;       // pictures on its command line
  bool was_killed = false;       // SIGKILL, by the plan
  bool was_told_to_end = false;  // SIGTERM, by the plan
  int exit_code = 0;
  std::vector<nlohmann::json> lines;  // of standard output
};

class FaultJudge {
 public:
  // `names`: the pictures as this seed calls them, in the order of FaultBench::pictures().
  FaultJudge(const FaultBench& bench, const FaultPlan& plan, std::vector<std::string> names,
             std::string spool, std::string results);

  // After each run of the agent, and in their order.
  void judge_run(const PhaseOutcome& outcome);
  // After the last, which had all that it needed: nothing waits any more.
  void judge_end();
  void complain(std::string what) { complaints_.push_back(std::move(what)); }
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  [[nodiscard]] std::size_t ended() const { return ended_.size(); }

 private:
  void read_log(ModelVersion version);
  void judge_record(const nlohmann::json& record, ModelVersion version);
  void judge_lines(const PhaseOutcome& outcome);
  void read_pending();
  [[nodiscard]] const BenchPicture* picture_called(const std::string& name) const;
  [[nodiscard]] bool may_drop(const std::string& reason, const BenchPicture* picture) const;

  const FaultBench& bench_;
  const FaultPlan& plan_;
  const std::vector<std::string> names_;
  const std::string spool_, results_;
  std::set<std::string> accepted_;  // request ids that have to end
  std::set<std::string> pending_;   // in the spool now
  std::map<std::string, nlohmann::json> ended_;
  std::size_t lines_read_ = 0;  // of the log
  bool was_killed_ = false;     // an agent, also by a second SIGTERM
  std::vector<std::string> complaints_;
};

}  // namespace cleave::test
