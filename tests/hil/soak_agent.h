// SPDX-License-Identifier: Apache-2.0
//
// One agent of the soak: run after run on a link of its own that fails now and then.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/faults/fault_bench.h"
#include "tests/support/tcp_relay.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {

struct SoakCounts {
  std::atomic<std::uint64_t> runs{0}, answered{0}, by_server{0}, spooled{0}, faults{0};
};

struct SoakAgentOptions {
  std::uint16_t server_port = 0;
  std::uint64_t seed = 1;        // of the faults
  bool kills = false;            // the agent itself is killed now and then, too
  std::string uplink = "6mbit";  // how fast it goes through its pictures
};

class SoakAgent {
 public:
  // All of `bench` and `counts` must outlive it. At work from now on.
  SoakAgent(const FaultBench& bench, const SoakAgentOptions& options, SoakCounts& counts);
  ~SoakAgent();

  // Ends its run in order, mends its link and lets it answer what waits; gives what was wrong.
  std::vector<std::string> end();
  // Of the process that runs now; 0: none. Another run is another number.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  void work();
  void spoil();
  bool run_once(bool has_pictures);
  void take_line(const std::string& text);
  [[nodiscard]] std::vector<std::string> words(bool has_pictures) const;
  void pause_unless_over(std::chrono::milliseconds pause);
  void complain(const std::string& what);

  const FaultBench& bench_;
  const SoakAgentOptions options_;
  SoakCounts& counts_;
  std::mt19937_64 random_;
  TemporaryFolder folder_;
  TcpRelay relay_;
  std::map<std::string, const BenchPicture*> by_path_;
  std::vector<std::string> complaints_;
  std::uint64_t answered_ = 0;  // by this agent, in all of its runs
  std::atomic<pid_t> pid_{0};
  std::atomic<bool> over_{false}, killed_{false};
  std::thread worker_, spoiler_;
};

}  // namespace cleave::test
