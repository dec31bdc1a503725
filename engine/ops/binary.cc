// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/binary.h"

#include <array>

namespace cleave::ops {
namespace {

std::array<std::size_t, 4> dimensions(std::uint32_t batch, const fbs::Shape& shape) {
  return {batch, shape.height(), shape.width(), shape.channels()};
}

class BinaryOp final : public XnnOp {
 public:
  BinaryOp(XnnOperator op, const OpSpec& spec)
      : XnnOp(std::move(op)), first_(spec.inputs[0]), second_(spec.inputs[1]) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const auto first = dimensions(batch, first_);
    const auto second = dimensions(batch, second_);
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_reshape_binary_elementwise_nd(handle(), first.size(), first.data(),
                                                    second.size(), second.data(), pool),
                  "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    return to_status(xnn_setup_binary_elementwise_nd(handle(), buffers.inputs[0], buffers.inputs[1],
                                                     buffers.output),
                     "setup");
  }

 private:
  fbs::Shape first_;
  fbs::Shape second_;
};

}  // namespace

OpResult create_binary(const OpSpec& spec, xnn_binary_operator kind) {
  const xnn_quantization_params first = to_xnn_quantization(spec.input_types[0]);
  const xnn_quantization_params second = to_xnn_quantization(spec.input_types[1]);
  const xnn_quantization_params output = to_xnn_quantization(spec.output_type);
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(
      to_status(xnn_create_binary_elementwise_nd(kind, to_xnn_datatype(spec.output_type.dtype),
                                                 &first, &second, &output, /*flags=*/0, &op),
                "create"));
  return OpResult(std::make_unique<BinaryOp>(XnnOperator(op), spec));
}

}  // namespace cleave::ops
