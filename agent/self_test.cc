// SPDX-License-Identifier: Apache-2.0
#include "agent/self_test.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "agent/stretch_runner.h"

namespace cleave::agent {
namespace {

std::optional<std::uint32_t> find_variant(const fbs::Model& model, std::string_view name) {
  for (std::uint32_t i = 0; i < model.variants()->size(); ++i) {
    if (model.variants()->Get(i)->name()->string_view() == name) return i;
  }
  return std::nullopt;
}

double difference(float expected, float computed) {
  if (!std::isfinite(computed)) return std::numeric_limits<double>::infinity();
  return std::abs(static_cast<double>(expected) - static_cast<double>(computed));
}

}  // namespace

SelfTestResult judge_self_test(const fbs::SelfTest& test, std::span<const float> computed) {
  SelfTestResult result{.variant = test.variant()->str(),
                        .scores = computed.size(),
                        .tolerance = test.tolerance(),
                        .max_difference = -1};
  for (std::size_t i = 0; i < computed.size(); ++i) {
    const float expected = test.scores()->Get(static_cast<flatbuffers::uoffset_t>(i));
    const double found = difference(expected, computed[i]);
    if (found <= result.max_difference) continue;
    result.max_difference = found;
    result.worst_index = i;
    result.worst_expected = expected;
    result.worst_computed = computed[i];
  }
  return result;
}

Result<std::uint32_t> self_test_variant(const ModelFile& model) {
  const fbs::SelfTest* test = model.header().self_test();
  if (test == nullptr) return Status(StatusCode::kNotFound, "the model file has no self-test");
  const auto variant = find_variant(model.header(), test->variant()->string_view());
  if (variant) return *variant;
  return Status(StatusCode::kCorrupt, "the self-test is of a variant that the file lacks");
}

Result<SelfTestResult> run_self_test(const std::shared_ptr<const ModelFile>& model,
                                     unsigned threads, std::uint64_t weight_budget_bytes,
                                     Preference preference) {
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t variant, self_test_variant(*model));
  const fbs::SelfTest& test = *model->header().self_test();
  const auto start = std::chrono::steady_clock::now();
  // Packed from the file itself: it is the file that is tested, too.
  StretchRunner runner(model, variant, threads, weight_budget_bytes,
                       {.cache = nullptr, .preference = preference});
  const auto& pixels = *test.pixels();
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> computed,
                          runner.scores({pixels.data(), pixels.size()}));
  SelfTestResult result = judge_self_test(test, computed);
  result.elapsed_ns = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
  return result;
}

}  // namespace cleave::agent
