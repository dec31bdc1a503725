// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/op_factories.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

class SoftmaxOp final : public XnnOp {
 public:
  SoftmaxOp(XnnOperator op, const fbs::Shape& shape) : XnnOp(std::move(op)), shape_(shape) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::size_t channels = shape_.channels();
    const std::size_t pixels = std::size_t{batch} * shape_.height() * shape_.width();
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_reshape_softmax_nc_f32(handle(), channels, channels, channels, pixels, pool),
                  "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    return to_status(xnn_setup_softmax_nc_f32(handle(), buffers.f32_input(), buffers.f32_output()),
                     "setup");
  }

 private:
  fbs::Shape shape_;
};

}  // namespace

OpResult create_softmax(const OpSpec& spec) {
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(xnn_create_softmax_nc_f32(/*flags=*/0, &op), "create"));
  return OpResult(std::make_unique<SoftmaxOp>(XnnOperator(op), spec.output));
}

}  // namespace cleave::ops
