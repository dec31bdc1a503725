// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "engine/ops/op_factories.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

class GlobalAveragePoolOp final : public XnnOp {
 public:
  GlobalAveragePoolOp(XnnOperator op, const fbs::Shape& input)
      : XnnOp(std::move(op)), input_(input) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::array<std::size_t, 4> shape{batch, input_.height(), input_.width(),
                                           input_.channels()};
    const std::array<std::int64_t, 2> axes{1, 2};
    CLEAVE_RETURN_IF_ERROR(
        to_status(xnn_reshape_reduce_nd(handle(), axes.size(), axes.data(), shape.size(),
                                        shape.data(), /*workspace_size=*/nullptr,
                                        /*workspace_alignment=*/nullptr, pool),
                  "reshape"));
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    // XNNPACK sums f32 in the output; given a workspace it would convert from there, with a kernel
    // that f32 does not have.
    return to_status(xnn_setup_reduce_nd(handle(), /*workspace=*/nullptr, buffers.f32_input(),
                                         buffers.f32_output()),
                     "setup");
  }

 private:
  fbs::Shape input_;
};

}  // namespace

OpResult create_global_average_pool(const OpSpec& spec) {
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(
      xnn_create_reduce_nd(xnn_reduce_mean, xnn_datatype_fp32, nullptr, nullptr, /*flags=*/0, &op),
      "create"));
  return OpResult(std::make_unique<GlobalAveragePoolOp>(XnnOperator(op), spec.inputs[0]));
}

}  // namespace cleave::ops
