// SPDX-License-Identifier: Apache-2.0
#include "agent/range_runner.h"

namespace cleave::agent {

Status RangeRunner::prepare(OpRange range) {
  if (is_prepared_ && prepared_ == range) return Status::ok();
  is_prepared_ = false;
  const bool covered =
      weights_ != nullptr && (range.empty() || (weights_->range().first <= range.first &&
                                                range.last <= weights_->range().last));
  if (!covered) {
    release();  // before packing: old and new weights are never held together
    CLEAVE_ASSIGN_OR_RETURN(weights_, Weights::create(model_, variant_, range));
    CLEAVE_ASSIGN_OR_RETURN(executor_, Executor::create(weights_, {.threads = threads_}));
  }
  CLEAVE_RETURN_IF_ERROR(executor_->prepare(range, 1));
  prepared_ = range;
  is_prepared_ = true;
  return Status::ok();
}

void RangeRunner::release() {
  is_prepared_ = false;
  executor_.reset();
  weights_.reset();
}

}  // namespace cleave::agent
