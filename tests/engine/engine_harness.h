// SPDX-License-Identifier: Apache-2.0
//
// What the engine's tests share: seeded inputs, a model from a builder, a range run in one line.
// Failures of the engine throw, which fails the test with the status as text.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuts.h"
#include "engine/executor.h"
#include "tests/support/model_builder.h"
#include "tests/support/reference_ops.h"

namespace cleave::test {

// Tensors of a batch by id: [batch][height][width][channels].
using TensorMap = std::map<TensorId, Values>;

// How far an operator may be from plain loops: f32 sums of up to a few thousand products of size
// one.
inline constexpr double kOpTolerance = 2e-5;

// Uniform in [-range, range), the same on every machine.
[[nodiscard]] Values random_values(std::size_t count, std::uint64_t seed, float range = 2.0F);

[[nodiscard]] std::shared_ptr<const ModelFile> open_model(ModelBuilder& builder);
[[nodiscard]] const fbs::Variant& first_variant(const ModelFile& model);
[[nodiscard]] OpIndex op_count(const ModelFile& model);

// A network with every operator: skip connections, a squeeze-and-excite branch, concatenations of
// branches of unlike length, and an early tensor that is read again near the end. 24 ops.
[[nodiscard]] std::shared_ptr<const ModelFile> branching_model();

// Executor over all ops of the model, or over `weights`.
[[nodiscard]] std::unique_ptr<Executor> make_executor(std::shared_ptr<const ModelFile> model,
                                                      unsigned threads = 1);
[[nodiscard]] std::unique_ptr<Executor> make_executor(std::shared_ptr<const Weights> weights,
                                                      unsigned threads = 1);

// Prepares, copies `tensors` into the inputs, runs, and gives copies of the outputs.
[[nodiscard]] TensorMap run_range(Executor& executor, OpRange range, std::uint32_t batch,
                                  const TensorMap& tensors);

// Throws with the message when not ok.
void require_ok(const Status& status);

// Largest |a - b| / max(1, |b|); infinite when the sizes differ or a value is not finite.
[[nodiscard]] double largest_error(const Values& a, const Values& b);
// Equal as bytes.
[[nodiscard]] bool same_bytes(const Values& a, const Values& b);
[[nodiscard]] bool same_bytes(const TensorMap& a, const TensorMap& b);

}  // namespace cleave::test
