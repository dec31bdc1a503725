// SPDX-License-Identifier: Apache-2.0
#include "agent/range_runner.h"

#include <algorithm>

namespace cleave::agent {

bool RangeRunner::must_pack(OpRange range) const {
  if (weights_ == nullptr) return true;
  const OpRange held = weights_->range();
  return !range.empty() && (range.first < held.first || held.last < range.last);
}

bool RangeRunner::holds_some_of(OpRange range) const {
  if (weights_ == nullptr) return false;
  const OpRange held = weights_->range();
  return std::max(held.first, range.first) < std::min(held.last, range.last);
}

Status RangeRunner::prepare(OpRange range) {
  if (is_prepared_ && prepared_ == range) return Status::ok();
  if (must_pack(range)) {
    release();  // before packing: old and new weights are never held together
    CLEAVE_ASSIGN_OR_RETURN(weights_, Weights::create(model_, variant_, range, weights_options_));
  }
  return prepare_executor(range);
}

Status RangeRunner::prepare_with(const RangeRunner& other, OpRange range) {
  if (!other.must_pack(range) && weights_ != other.weights_) {
    release();
    weights_ = other.weights_;
  }
  return prepare(range);
}

Status RangeRunner::prepare_executor(OpRange range) {
  release_executor();  // a used one would keep an arena as large as its largest range wanted
  CLEAVE_ASSIGN_OR_RETURN(executor_, Executor::create(weights_, options_));
  CLEAVE_RETURN_IF_ERROR(executor_->prepare(range, 1));
  prepared_ = range;
  is_prepared_ = true;
  return Status::ok();
}

void RangeRunner::release_executor() {
  is_prepared_ = false;
  executor_.reset();
}

void RangeRunner::release() {
  release_executor();
  weights_.reset();
}

}  // namespace cleave::agent
