// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/unary.h"

namespace cleave::ops {
namespace {

class UnaryOp final : public XnnOp {
 public:
  UnaryOp(XnnOperator op, const fbs::Shape& shape) : XnnOp(std::move(op)), shape_(shape) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::size_t pixels = std::size_t{batch} * shape_.height() * shape_.width();
    const std::size_t channels = shape_.channels();
    CLEAVE_RETURN_IF_ERROR(to_status(
        xnn_reshape_unary_elementwise_nc(handle(), pixels, channels, channels, channels, pool),
        "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    return to_status(xnn_setup_unary_elementwise_nc(handle(), buffers.inputs[0], buffers.output),
                     "setup");
  }

 private:
  fbs::Shape shape_;
};

}  // namespace

OpResult create_unary(const fbs::Shape& shape, xnn_unary_operator kind,
                      const xnn_unary_params& params, const TensorType& input,
                      const TensorType& output) {
  const xnn_quantization_params from = to_xnn_quantization(input);
  const xnn_quantization_params to = to_xnn_quantization(output);
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(
      to_status(xnn_create_unary_elementwise_nc(kind, to_xnn_datatype(input.dtype),
                                                to_xnn_datatype(output.dtype), &params, &from, &to,
                                                /*flags=*/0, &op),
                "create"));
  return OpResult(std::make_unique<UnaryOp>(XnnOperator(op), shape));
}

OpResult create_unary_clamp(const fbs::Shape& shape, const ClampRange& clamp,
                            const TensorType& type) {
  return create_unary(shape, xnn_unary_clamp,
                      {.clamp = {.min = clamp.minimum, .max = clamp.maximum}}, type, type);
}

}  // namespace cleave::ops
