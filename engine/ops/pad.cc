// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "engine/ops/int8_range.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

class PadOp final : public XnnOp {
 public:
  PadOp(XnnOperator op, const OpSpec& spec)
      : XnnOp(std::move(op)),
        input_(spec.inputs[0]),
        padding_(*spec.op->options_as_Pad()->padding()),
        int8_(spec.on_int8()) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::array<std::size_t, 4> shape{batch, input_.height(), input_.width(),
                                           input_.channels()};
    const std::array<std::size_t, 4> before{0, padding_.top(), padding_.left(), 0};
    const std::array<std::size_t, 4> after{0, padding_.bottom(), padding_.right(), 0};
    const auto reshape_pad =
        int8_ ? xnn_reshape_constant_pad_nd_x8 : xnn_reshape_constant_pad_nd_x32;
    CLEAVE_RETURN_IF_ERROR(to_status(
        reshape_pad(handle(), shape.size(), shape.data(), before.data(), after.data(), pool),
        "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    const auto setup_pad = int8_ ? xnn_setup_constant_pad_nd_x8 : xnn_setup_constant_pad_nd_x32;
    return to_status(setup_pad(handle(), buffers.inputs[0], buffers.output), "setup");
  }

 private:
  fbs::Shape input_;
  fbs::Padding padding_;
  bool int8_;
};

}  // namespace

OpResult create_pad(const OpSpec& spec) {
  const float value = spec.op->options_as_Pad()->value();
  xnn_operator_t op = nullptr;
  if (spec.on_int8()) {
    const std::int8_t quantized = to_int8(value, spec.output_type);
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_create_constant_pad_nd_x8(&quantized, /*flags=*/0, &op), "create"));
  } else {
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_create_constant_pad_nd_x32(&value, /*flags=*/0, &op), "create"));
  }
  return OpResult(std::make_unique<PadOp>(XnnOperator(op), spec));
}

}  // namespace cleave::ops
