// SPDX-License-Identifier: Apache-2.0
//
// What is made of the figures: order statistics, ratios, the judgement of the scores, and the two
// forms of the report.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/bench_run.h"

namespace cleave::bench {

// Largest difference from the reference's scores, as a share of its largest score: of f32, of f16
// weights (ten bits and a half, many of them in a sum), and of int8 with seeded weights and ranges
// that were guessed (a wrong op is off by far more).
inline constexpr double kScoreTolerance = 1e-3;
inline constexpr double kF16ScoreTolerance = 1e-2;
inline constexpr double kInt8ScoreTolerance = 0.3;

// The value below which a share of the (unsorted) values lies, between two values by straight line.
// REQUIRES: values is not empty, 0 <= share <= 1.
double quantile(std::span<const double> values, double share);

struct Verdict {
  std::string reference;            // whose scores the others are compared with
  std::vector<double> differences;  // by contender; 0 for the reference
  std::string error;                // empty: every contender's scores are right
  // Our median by the smaller of the others'; our start and peak by ONNX Runtime's.
  std::string faster;
  std::vector<double> time_ratios;  // by contender; 0 for the others
  std::optional<double> time_ratio, start_ratio, peak_ratio;
  std::optional<double> cached_start_ratio;  // our start with a filled weight cache
};

// The reference is ONNX Runtime, or the XNNPACK runtime where there is no ONNX file. Scores that
// are (nearly) all the same are an error too: any network would agree with them.
Verdict judge(const CaseResult& result);

struct Setup {
  std::string processor;
  unsigned processors = 1;
  RunOptions options;
};

std::string to_table(const Setup& setup, const std::vector<CaseResult>& results);
std::string to_json(const Setup& setup, const std::vector<CaseResult>& results);

}  // namespace cleave::bench
