// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/clamped_op.h"

#include "engine/ops/unary.h"

namespace cleave::ops {
namespace {

class ClampedOp final : public Op {
 public:
  ClampedOp(std::unique_ptr<Op> inner, std::unique_ptr<Op> clamp)
      : inner_(std::move(inner)), clamp_(std::move(clamp)) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t clamp_workspace, clamp_->reshape(batch, pool));
    if (clamp_workspace != 0) return Status{StatusCode::kInternal, "a clamp wants workspace"};
    return inner_->reshape(batch, pool);
  }

  Status setup(const OpBuffers& buffers) override {
    CLEAVE_RETURN_IF_ERROR(inner_->setup(buffers));
    const void* in_place[] = {buffers.output};
    return clamp_->setup({.inputs = in_place, .output = buffers.output});
  }

  Status run(pthreadpool_t pool) override {
    CLEAVE_RETURN_IF_ERROR(inner_->run(pool));
    return clamp_->run(pool);
  }

 private:
  std::unique_ptr<Op> inner_;
  std::unique_ptr<Op> clamp_;
};

}  // namespace

OpResult add_clamp(std::unique_ptr<Op> inner, const OpSpec& spec) {
  CLEAVE_ASSIGN_OR_RETURN(std::unique_ptr<Op> clamp,
                          create_unary_clamp(spec.output, spec.clamp, spec.output_type));
  return OpResult(std::make_unique<ClampedOp>(std::move(inner), std::move(clamp)));
}

}  // namespace cleave::ops
