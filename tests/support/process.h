// SPDX-License-Identifier: Apache-2.0
//
// Programs under test, run as their users run them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cleave::test {

struct Finished {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
  // Most memory it held (resident), from the kernel's accounts; never below this process's own at
  // the time of the fork.
  std::uint64_t peak_rss_bytes = 0;
};

using Environment = std::vector<std::string>;  // "NAME=VALUE", added to this process's own

// Runs to the end, or kills it after `limit` (exit code 137).
[[nodiscard]] Finished run_program(const std::vector<std::string>& command,
                                   const Environment& environment = {},
                                   std::chrono::seconds limit = std::chrono::seconds(120));

enum class StandardInput : std::uint8_t { kNothing, kPipe };

// A program that runs beside the test; killed when this object goes.
class BackgroundProgram {
 public:
  // Its standard error goes behind what is in `error_file`; empty: to this process's own.
  explicit BackgroundProgram(const std::vector<std::string>& command,
                             const Environment& environment = {},
                             const std::string& error_file = {},
                             StandardInput input = StandardInput::kNothing);
  ~BackgroundProgram();
  BackgroundProgram(const BackgroundProgram&) = delete;
  BackgroundProgram& operator=(const BackgroundProgram&) = delete;

  // A line of its standard input; false when it has ended, or takes nothing within `limit`.
  // REQUIRES: kPipe, and a line below PIPE_BUF.
  [[nodiscard]] bool write_line(const std::string& line,
                                std::chrono::seconds limit = std::chrono::seconds(30)) const;
  // Ends its standard input. REQUIRES: kPipe.
  void close_input();
  // The next line of standard output, without its newline; empty at the end or after `limit`.
  [[nodiscard]] std::string read_line(std::chrono::seconds limit = std::chrono::seconds(60));
  void signal(int number) const;
  // SIGSTOP, and waits until every thread of it stands still; false after `limit`.
  [[nodiscard]] bool stop(std::chrono::seconds limit = std::chrono::seconds(30)) const;
  // Waits for the end; the exit code as in Finished.
  int wait(std::chrono::seconds limit = std::chrono::seconds(30));
  // Whether it has not ended so far; its exit code stays to be asked for.
  [[nodiscard]] bool is_running() const;
  // The exit code of one that has ended by itself; nothing while it runs.
  [[nodiscard]] std::optional<int> poll_exit();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int in_ = -1;  // what is written there is its standard input
  int out_ = -1;
  std::string buffered_;
};

}  // namespace cleave::test
