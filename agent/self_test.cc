// SPDX-License-Identifier: Apache-2.0
#include "agent/self_test.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "agent/edge_profile.h"
#include "agent/range_runner.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

using Tensors = std::vector<std::vector<std::byte>>;

std::optional<std::uint32_t> find_variant(const fbs::Model& model, std::string_view name) {
  for (std::uint32_t i = 0; i < model.variants()->size(); ++i) {
    if (model.variants()->Get(i)->name()->string_view() == name) return i;
  }
  return std::nullopt;
}

std::vector<std::byte> to_bytes(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

Tensors copy_outputs(const Executor& executor) {
  Tensors tensors;
  for (const BoundaryBuffer& output : executor.outputs()) {
    tensors.emplace_back(output.as_bytes().begin(), output.as_bytes().end());
  }
  return tensors;
}

// What leaves one stretch is, tensor for tensor, what enters the next.
Result<std::vector<float>> compute_scores(const std::shared_ptr<const ModelFile>& model,
                                          std::uint32_t index, unsigned threads,
                                          std::uint64_t weight_budget_bytes,
                                          Preference preference) {
  const fbs::Model& header = model->header();
  const fbs::Variant& variant = *header.variants()->Get(index);
  const auto& pixels = *header.self_test()->pixels();
  const fbs::Shape& shape = *variant.tensors()->Get(variant.input())->shape();
  std::vector<float> scores(element_count(shape));
  normalize({pixels.data(), pixels.size()}, *header.preprocessing(), shape.channels(), scores);
  Tensors crossing(1, to_bytes(scores));
  // Packed from the file itself: it is the file that is tested, too.
  RangeRunner runner(model, index, {.threads = threads},
                     {.cache = nullptr, .preference = preference});
  for (OpIndex op = 0; op < variant.ops()->size();) {
    const OpRange range = next_stretch(variant, op, weight_budget_bytes, preference);
    runner.release();
    CLEAVE_RETURN_IF_ERROR(runner.prepare(range));
    Executor& executor = runner.executor();
    for (std::size_t i = 0; i < crossing.size(); ++i) {
      std::ranges::copy(crossing[i], executor.inputs()[i].as_bytes().begin());
    }
    CLEAVE_RETURN_IF_ERROR(executor.run());
    crossing = copy_outputs(executor);
    op = range.last;
  }
  scores.resize(crossing[0].size() / sizeof(float));
  std::memcpy(scores.data(), crossing[0].data(), crossing[0].size());
  return scores;
}

double difference(float expected, float computed) {
  if (!std::isfinite(computed)) return std::numeric_limits<double>::infinity();
  return std::abs(static_cast<double>(expected) - static_cast<double>(computed));
}

SelfTestResult compare(const fbs::SelfTest& test, const std::vector<float>& computed) {
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

}  // namespace

Result<SelfTestResult> run_self_test(const std::shared_ptr<const ModelFile>& model,
                                     unsigned threads, std::uint64_t weight_budget_bytes,
                                     Preference preference) {
  const fbs::SelfTest* test = model->header().self_test();
  if (test == nullptr) return Status(StatusCode::kNotFound, "the model file has no self-test");
  const auto variant = find_variant(model->header(), test->variant()->string_view());
  if (!variant) {
    return Status(StatusCode::kCorrupt, "the self-test is of a variant that the file lacks");
  }
  const auto start = std::chrono::steady_clock::now();
  CLEAVE_ASSIGN_OR_RETURN(
      const std::vector<float> computed,
      compute_scores(model, *variant, threads, weight_budget_bytes, preference));
  SelfTestResult result = compare(*test, computed);
  result.elapsed_ns = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
  return result;
}

}  // namespace cleave::agent
