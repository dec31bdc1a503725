// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/cut_walker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/image/picture.h"
#include "engine/importer/model_pixels.h"
#include "engine/weights.h"

namespace cleave::importer {

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

// A score that is no number is no best one.
std::size_t CutWalker::best_class() const {
  const auto scores = executor_->outputs()[0].f32();
  const auto less = [](float a, float b) { return a < b || (a != a && b == b); };
  return static_cast<std::size_t>(std::ranges::max_element(scores, less) - scores.begin());
}

}  // namespace cleave::importer
