// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/kernels.h"
#include "engine/ops/op_factories.h"

namespace cleave::ops {
namespace {

class LrnOp final : public Op {
 public:
  explicit LrnOp(const OpSpec& spec) : shape_(spec.output) {
    const fbs::Lrn& lrn = *spec.op->options_as_Lrn();
    constants_ = {.size = lrn.size(), .alpha = lrn.alpha(), .beta = lrn.beta(), .bias = lrn.bias()};
  }

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    rows_ = std::size_t{batch} * shape_.height();
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    input_ = buffers.f32_input();
    output_ = buffers.f32_output();
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    pthreadpool_parallelize_1d(
        pool, [](void* self, std::size_t row) { static_cast<LrnOp*>(self)->run_row(row); }, this,
        rows_, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return Status::ok();
  }

 private:
  void run_row(std::size_t row) const {
    const std::size_t offset = row * shape_.width() * shape_.channels();
    kernels::f32_lrn_scalar(constants_, input_ + offset, shape_.width(), shape_.channels(),
                            output_ + offset);
  }

  fbs::Shape shape_;
  kernels::LrnConstants constants_;
  std::size_t rows_ = 0;
  const float* input_ = nullptr;
  float* output_ = nullptr;
};

}  // namespace

OpResult create_lrn(const OpSpec& spec) { return OpResult(std::make_unique<LrnOp>(spec)); }

}  // namespace cleave::ops
