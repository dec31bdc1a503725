// SPDX-License-Identifier: Apache-2.0
//
// A runner (runner_channel.h) as bench_model sees it: a process that runs once when it is told to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::bench {

struct FirstAnswer {
  std::uint64_t start_ns = 0;  // from before exec until the whole answer was there
  std::string text;            // what the contender says it is
  std::vector<float> scores;
};

class Contender {
 public:
  // Starts `command`, its standard error going to the file `log_path`, and waits for the first
  // answer. Errors: kUnsupported (the contender has no such operator), kDeadlineExceeded, kIo,
  // kInternal (it died); the message has what it wrote on standard error.
  static Result<std::unique_ptr<Contender>> start(const std::vector<std::string>& command,
                                                  const std::string& log_path);
  ~Contender();  // kills what finish() has not ended
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  [[nodiscard]] const FirstAnswer& first_answer() const { return first_; }
  // Runs once; nanoseconds by the contender's own clock. Errors: as start().
  Result<std::uint64_t> run();
  // Waits, for at most half a second, until all of its threads sleep: those of a pool look for work
  // for a while after a run, on the CPUs that the next contender needs.
  void wait_until_idle() const;
  // Most bytes that were resident so far (VmHWM). Errors: kIo.
  Result<std::uint64_t> peak_rss_bytes() const;
  // Ends it, and checks that it ended well. Errors: as start().
  [[nodiscard]] Status finish();

 private:
  Contender() = default;
  Status read_first_answer();
  Status read_exactly(void* data, std::size_t bytes);
  Status died();
  int wait_for_end();

  pid_t pid_ = -1;
  int commands_ = -1, answers_ = -1;
  std::string name_, log_path_;
  FirstAnswer first_;
};

}  // namespace cleave::bench
