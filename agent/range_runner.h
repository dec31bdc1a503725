// SPDX-License-Identifier: Apache-2.0
//
// Packed weights and an executor for one range of ops, made when first needed. The agent has one
// for its head and, once it had to finish alone, one for the tail.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "engine/executor.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

class RangeRunner {
 public:
  RangeRunner(std::shared_ptr<const ModelFile> model, std::uint32_t variant,
              const ExecutorOptions& options, WeightsOptions weights)
      : model_(std::move(model)),
        variant_(variant),
        options_(options),
        weights_options_(std::move(weights)) {}

  // Ready to run `range`: packs its weights, or maps them from the cache, unless those held cover
  // it. Errors: as Weights::create and Executor::prepare.
  Status prepare(OpRange range);

  // The same with the weights of another runner, held by both from then on, if they cover `range`.
  Status prepare_with(const RangeRunner& other, OpRange range);

  // Whether prepare(range) would pack weights.
  [[nodiscard]] bool must_pack(OpRange range) const;

  // Whether weights of ops in `range` are held.
  [[nodiscard]] bool holds_some_of(OpRange range) const;

  // Frees weights and executor.
  void release();
  // Frees the executor with its arena; the next prepare() makes another, in milliseconds.
  void release_executor();

  // REQUIRES: prepare() was ok.
  [[nodiscard]] Executor& executor() { return *executor_; }

 private:
  Status prepare_executor(OpRange range);

  std::shared_ptr<const ModelFile> model_;
  std::uint32_t variant_;
  ExecutorOptions options_;
  WeightsOptions weights_options_;
  std::shared_ptr<const Weights> weights_;
  std::unique_ptr<Executor> executor_;
  OpRange prepared_;
  bool is_prepared_ = false;
};

}  // namespace cleave::agent
