// SPDX-License-Identifier: Apache-2.0
//
// Pictures on their way through a network, stopped at one cut after another: what crosses there,
// and what the network answers when something else goes on in its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/executor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::importer {

// What became of a picture's answer when something else crossed the cut.
struct JudgedAnswer {
  bool differs = false;  // another best class
  // By how much the best class of before is more likely than every other one, as a logarithm:
  // before, and now (negative: it is not).
  double margin_before = 0;
  double margin_now = 0;
  double divergence = 0;  // of the likelihoods now from those before (Kullback and Leibler)
};

// Holds what crosses the cut at hand, of every picture. Used by one thread at a time.
class CutWalker {
 public:
  // `pictures` are at model size, height x width x channels in the model's color order. Runs each
  // through the whole network once. Errors: those of Weights::create and Executor::prepare,
  // kResourceExhausted.
  static Result<std::unique_ptr<CutWalker>> create(
      std::shared_ptr<const ModelFile> model, std::uint32_t variant,
      std::span<const std::vector<std::uint8_t>> pictures, unsigned threads);

  // Takes every picture on to `cut`. REQUIRES: not before the cut at hand, not behind the last op.
  [[nodiscard]] Status go_to(OpIndex cut);

  [[nodiscard]] std::size_t pictures() const { return crossings_.size(); }
  // Of one picture at the cut at hand, in the order of the cut.
  [[nodiscard]] std::vector<std::span<const std::byte>> tensors(std::size_t picture) const;
  // The best class of a picture as it is.
  [[nodiscard]] std::size_t answer(std::size_t picture) const { return answers_[picture]; }

  // The best class when `tensors` cross the cut at hand.
  [[nodiscard]] Result<std::size_t> answer_with(
      std::span<const std::span<const std::byte>> tensors);

  // The same, compared with the answer of a picture as it is.
  [[nodiscard]] Result<JudgedAnswer> judge(std::size_t picture,
                                           std::span<const std::span<const std::byte>> tensors);

 private:
  using Crossing = std::vector<AlignedBuffer>;

  CutWalker() = default;
  [[nodiscard]] Status prepare(OpRange range);
  [[nodiscard]] Status advance(Crossing& crossing);
  [[nodiscard]] std::size_t best_class() const;
  [[nodiscard]] OpIndex last_op() const;

  std::shared_ptr<const ModelFile> model_;
  std::uint32_t variant_ = 0;
  std::unique_ptr<Executor> executor_;
  OpRange prepared_;
  OpIndex cut_ = 0;
  std::vector<Crossing> crossings_;  // of each picture
  std::vector<std::size_t> answers_;
  std::vector<std::vector<double>> likelihoods_;  // logarithms
};

}  // namespace cleave::importer
