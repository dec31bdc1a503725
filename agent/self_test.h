// SPDX-License-Identifier: Apache-2.0
//
// The picture that a model file may carry with the scores it must give: computed here and compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/preference.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct SelfTestResult {
  std::string variant;  // that the file names
  std::size_t scores = 0;
  float tolerance = 0;  // the file's: the greatest absolute difference allowed
  // The score that is furthest from what the file states. A score that is no finite number differs
  // by infinity.
  double max_difference = 0;
  std::size_t worst_index = 0;
  float worst_expected = 0;
  float worst_computed = 0;
  std::uint64_t elapsed_ns = 0;  // packing included

  [[nodiscard]] bool passed() const { return max_difference <= static_cast<double>(tolerance); }
};

// Runs the model's self-test, in stretches of ops whose weights stay within `weight_budget_bytes`
// (at least one op), so that a device that holds only a head can run it as well, with the kernels
// that `preference` picks.
// Errors: kNotFound (the file has none), kUnsupported (a variant this build cannot run), and those
// of Weights::create and Executor::prepare. Other scores are no error: see passed().
// On a model folder that does not hold all weights: kNotFound, see remote_self_test.h.
[[nodiscard]] Result<SelfTestResult> run_self_test(const std::shared_ptr<const ModelFile>& model,
                                                   unsigned threads,
                                                   std::uint64_t weight_budget_bytes,
                                                   Preference preference);

// The variant that the self-test is of. Errors: kNotFound (the file has none), kCorrupt.
[[nodiscard]] Result<std::uint32_t> self_test_variant(const ModelFile& model);

// What `computed`, one score a class, says of `test`.
[[nodiscard]] SelfTestResult judge_self_test(const fbs::SelfTest& test,
                                             std::span<const float> computed);

}  // namespace cleave::agent
