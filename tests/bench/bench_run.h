// SPDX-License-Identifier: Apache-2.0
//
// One network with one number of threads: every contender, run by run in turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/status.h"
#include "tests/bench/bench_files.h"

namespace cleave::bench {

struct RunOptions {
  unsigned runs = 15;
  unsigned warmup = 3;  // after the run of the first answer
  unsigned starts = 3;
  std::string runners;  // folder of the runners
  std::string folder;   // for their logs
};

inline constexpr const char* kOurs = "cleave";
inline constexpr const char* kOursCached = "cleave, cached";  // packed weights of an earlier start
// The same network with weights of f16, and in int8, if the model file has it.
inline constexpr const char* kOursF16 = "cleave, f16";
inline constexpr const char* kOursInt8 = "cleave, int8";
inline constexpr const char* kOnnxRuntime = "onnxruntime";
inline constexpr const char* kXnnpack = "xnnpack";

[[nodiscard]] inline bool is_ours(const std::string& name) { return name.starts_with(kOurs); }

struct ContenderResult {
  std::string name;
  std::string text;    // as it describes itself
  std::string absent;  // why it did not take part; empty: it did
  std::vector<double> run_ms;
  std::vector<double> start_ms;  // process start to first answer
  std::uint64_t peak_rss_bytes = 0;
  std::vector<float> scores;
};

struct CaseResult {
  std::string model;
  unsigned threads = 1;
  fbs::Shape input;
  std::vector<ContenderResult>
      contenders;  // ours first, without and with a weight cache, f16, int8
};

// Fills a weight cache by a start that does not count. Then starts every contender `starts` times,
// one at a time, and keeps the last of each: only one of them is ever at work. A contender without
// an operator of the network is absent from the result. Errors: any other failure of a contender.
Result<CaseResult> run_case(const BenchFiles& files, unsigned threads, const RunOptions& options);

}  // namespace cleave::bench
