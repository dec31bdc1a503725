// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/cut_walker.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/image/picture.h"
#include "engine/importer/model_pixels.h"
#include "engine/weights.h"

namespace cleave::importer {
namespace {

// Scores that softmax made are likelihoods; others are what it would take. Less than e^-50 is
// nothing, and a score that is no number is less than that; infinite ones are cut off, for their
// differences would be no numbers.
std::vector<double> log_likelihoods(std::span<const float> scores) {
  static constexpr double kNothing = -50, kMost = 1e30;
  const auto number = [](float score) {
    return score != score ? -kMost : std::clamp(double{score}, -kMost, kMost);
  };
  double sum = 0, largest = -kMost;
  bool all_positive = true;
  for (const float score : scores) {
    sum += number(score);
    largest = std::max(largest, number(score));
    all_positive = all_positive && score >= 0;
  }
  std::vector<double> result;
  if (all_positive && std::abs(sum - 1) < 1e-3) {
    for (const float score : scores) result.push_back(std::max(std::log(score + 1e-30), kNothing));
    return result;
  }
  sum = 0;
  for (const float score : scores) sum += std::exp(number(score) - largest);
  for (const float score : scores) {
    result.push_back(std::max(number(score) - largest - std::log(sum), kNothing));
  }
  return result;
}

double margin_of(std::span<const double> likelihoods, std::size_t best) {
  double other = -1e30;
  for (std::size_t i = 0; i < likelihoods.size(); ++i) {
    if (i != best) other = std::max(other, likelihoods[i]);
  }
  return likelihoods[best] - other;
}

}  // namespace

Result<std::unique_ptr<CutWalker>> CutWalker::create(
    std::shared_ptr<const ModelFile> model, std::uint32_t variant,
    std::span<const std::vector<std::uint8_t>> pictures, unsigned threads) {
  auto walker = std::unique_ptr<CutWalker>(new CutWalker);
  walker->model_ = std::move(model);
  walker->variant_ = variant;
  CLEAVE_ASSIGN_OR_RETURN(auto weights,
                          Weights::create(walker->model_, variant, {0, walker->last_op()}));
  CLEAVE_ASSIGN_OR_RETURN(walker->executor_,
                          Executor::create(std::move(weights), {.threads = threads}));
  const fbs::Preprocessing& preprocessing = *walker->model_->header().preprocessing();
  const fbs::Shape& shape = input_shape(*walker->model_);
  for (const std::vector<std::uint8_t>& pixels : pictures) {
    Crossing& crossing = walker->crossings_.emplace_back();
    AlignedBuffer& input = crossing.emplace_back(f32_bytes(shape));
    if (input.data() == nullptr) {
      return Status(StatusCode::kResourceExhausted, "no memory for the pictures");
    }
    normalize(pixels, preprocessing, shape.channels(), {input.f32(), pixels.size()});
  }
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t best, walker->answer_with(walker->tensors(i)));
    walker->answers_.push_back(best);
    walker->likelihoods_.push_back(log_likelihoods(walker->executor_->outputs()[0].f32()));
  }
  return walker;
}

OpIndex CutWalker::last_op() const {
  return model_->header().variants()->Get(variant_)->ops()->size();
}

Status CutWalker::prepare(OpRange range) {
  if (prepared_ == range) return Status::ok();
  prepared_ = {};
  CLEAVE_RETURN_IF_ERROR(executor_->prepare(range, 1));
  prepared_ = range;
  return Status::ok();
}

Status CutWalker::go_to(OpIndex cut) {
  if (cut == cut_) return Status::ok();
  CLEAVE_RETURN_IF_ERROR(prepare({cut_, cut}));
  for (Crossing& crossing : crossings_) CLEAVE_RETURN_IF_ERROR(advance(crossing));
  cut_ = cut;
  return Status::ok();
}

Status CutWalker::advance(Crossing& crossing) {
  const auto inputs = executor_->inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(inputs[i].data, crossing[i].data(), inputs[i].bytes());
  }
  CLEAVE_RETURN_IF_ERROR(executor_->run());
  crossing.clear();
  for (const BoundaryBuffer& output : executor_->outputs()) {
    AlignedBuffer& buffer = crossing.emplace_back(output.bytes());
    if (buffer.data() == nullptr) {
      return {StatusCode::kResourceExhausted, "no memory for what crosses the cut"};
    }
    std::memcpy(buffer.data(), output.data, output.bytes());
  }
  return Status::ok();
}

std::vector<std::span<const std::byte>> CutWalker::tensors(std::size_t picture) const {
  std::vector<std::span<const std::byte>> result;
  for (const AlignedBuffer& buffer : crossings_[picture]) {
    result.emplace_back(buffer.data(), buffer.capacity());
  }
  return result;
}

Result<std::size_t> CutWalker::answer_with(std::span<const std::span<const std::byte>> tensors) {
  CLEAVE_RETURN_IF_ERROR(prepare({cut_, last_op()}));
  const auto inputs = executor_->inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(inputs[i].data, tensors[i].data(), inputs[i].bytes());
  }
  CLEAVE_RETURN_IF_ERROR(executor_->run());
  return best_class();
}

Result<JudgedAnswer> CutWalker::judge(std::size_t picture,
                                      std::span<const std::span<const std::byte>> tensors) {
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t best, answer_with(tensors));
  const std::vector<double>& before = likelihoods_[picture];
  const std::vector<double> now = log_likelihoods(executor_->outputs()[0].f32());
  JudgedAnswer judged{.differs = best != answers_[picture],
                      .margin_before = margin_of(before, answers_[picture]),
                      .margin_now = margin_of(now, answers_[picture])};
  for (std::size_t i = 0; i < now.size(); ++i) {
    judged.divergence += std::exp(before[i]) * (before[i] - now[i]);
  }
  return judged;
}

// A score that is no number is no best one.
std::size_t CutWalker::best_class() const {
  const auto scores = executor_->outputs()[0].f32();
  const auto less = [](float a, float b) { return a < b || (a != a && b == b); };
  return static_cast<std::size_t>(std::ranges::max_element(scores, less) - scores.begin());
}

}  // namespace cleave::importer
