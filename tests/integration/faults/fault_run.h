// SPDX-License-Identifier: Apache-2.0
//
// One seed of the fault suite: an agent and its server, run as their users run them, through what
// the plan says, then mended and judged.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/faults/fault_judge.h"
#include "tests/integration/faults/fault_tally.h"
#include "tests/support/faulty_system.h"
#include "tests/support/process_figures.h"
#include "tests/support/tcp_relay.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {

class FaultRun {
 public:
  // `bench` and `plan` must outlive it.
  FaultRun(const FaultBench& bench, const FaultPlan& plan);
  ~FaultRun();

  // What was wrong, each in a line; empty: nothing was.
  std::vector<std::string> run();
  // After run().
  [[nodiscard]] const FaultTally& tally() const { return tally_; }
  // What the agents and servers said on standard error.
  [[nodiscard]] std::string said() const;

 private:
  void prepare();
  void update_model(const Phase& phase);
  void run_phase(const Phase& phase);
  void perform(const Act& act);
  void count(const Act& act);
  void count_effects();
  void await(const Act& act);
  void start_server(const std::vector<std::string>& models);
  void end_server(int signal_number);
  void mend();
  void mend_link();
  void judge_living_server();
  void judge_figures(const char* when);
  void judge_server();
  bool read_line(std::chrono::seconds limit);
  void end_agent(PhaseOutcome& outcome);
  [[nodiscard]] std::vector<std::string> agent_words(const std::vector<unsigned>& pictures,
                                                     const std::string& timeout) const;
  [[nodiscard]] std::unique_ptr<BackgroundProgram> start_agent(
      const std::vector<std::string>& words);
  [[nodiscard]] std::vector<std::string> both_models() const;

  const FaultBench& bench_;
  const FaultPlan& plan_;
  TemporaryFolder folder_;
  FaultySystem agent_system_, server_system_;
  TcpRelay relay_;
  FaultJudge judge_;
  FaultTally tally_;
  std::string model_;
  ProcessFigures server_start_;  // of server_ when it had announced itself
  unsigned acts_outlived_ = 0;   // by server_
  bool serves_other_ = false;    // server_
  std::unique_ptr<BackgroundProgram> server_, agent_;
  std::vector<std::unique_ptr<BackgroundProgram>> ending_;  // servers that were told to end
  std::vector<nlohmann::json> lines_;                       // of the agent
  bool agent_ended_ = false;                                // its output, that is
};

}  // namespace cleave::test
