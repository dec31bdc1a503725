// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

class FullyConnectedOp final : public Op {
 public:
  FullyConnectedOp(XnnOperator op, const OpSpec& spec)
      : operator_(std::move(op)),
        inputs_(element_count(spec.inputs[0])),
        outputs_(spec.output.channels()) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    batch_ = batch;
    step_ = pictures_per_product(batch);
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_reshape_fully_connected_nc_f32(operator_.get(), step_, pool), "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = buffers.inputs[0];
    output_data_ = buffers.output;
    return point_at(0);
  }

  Status run(pthreadpool_t pool) override {
    for (std::uint32_t picture = 0; picture < batch_; picture += step_) {
      if (step_ != batch_) CLEAVE_RETURN_IF_ERROR(point_at(picture));
      CLEAVE_RETURN_IF_ERROR(to_status(xnn_run_operator(operator_.get(), pool), "run"));
    }
    return Status::ok();
  }

 private:
  Status point_at(std::uint32_t picture) {
    return to_status(
        xnn_setup_fully_connected_nc_f32(operator_.get(), input_data_ + picture * inputs_,
                                         output_data_ + picture * outputs_),
        "setup");
  }

  XnnOperator operator_;
  std::size_t inputs_;
  std::size_t outputs_;
  std::uint32_t batch_ = 0;
  std::uint32_t step_ = 0;
  const float* input_data_ = nullptr;
  float* output_data_ = nullptr;
};

}  // namespace

OpResult create_fully_connected(const OpSpec& spec) {
  const std::size_t inputs = element_count(spec.inputs[0]);
  const std::size_t outputs = spec.output.channels();
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(
      xnn_create_fully_connected_nc_f32(inputs, outputs, inputs, outputs, spec.kernel, spec.bias,
                                        spec.clamp.minimum, spec.clamp.maximum, /*flags=*/0,
                                        /*code_cache=*/nullptr, spec.packed, &op),
      "create"));
  return OpResult(std::make_unique<FullyConnectedOp>(XnnOperator(op), spec));
}

}  // namespace cleave::ops
