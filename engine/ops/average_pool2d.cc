// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/kernels.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/scalar_pool.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

std::uint32_t border_rows(std::uint32_t padding, std::uint32_t stride) {
  return (padding + stride - 1) / stride;
}

// XNNPACK prepares the output rows that touch the padding above, one in the middle, and those that
// touch the padding below; it computes wrong sums when a row is both.
bool xnnpack_can(const fbs::Window& window, const fbs::Padding& padding, const fbs::Shape& output) {
  const std::uint32_t stride = window.stride_height();
  return border_rows(padding.top(), stride) + border_rows(padding.bottom(), stride) <=
         output.height();
}

class AveragePoolOp final : public XnnOp {
 public:
  AveragePoolOp(XnnOperator op, const OpSpec& spec)
      : XnnOp(std::move(op)), input_(spec.inputs[0]), output_(spec.output) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::size_t channels = input_.channels();
    std::size_t workspace = 0;
    std::size_t alignment = 0;
    std::size_t height = 0;
    std::size_t width = 0;
    CLEAVE_RETURN_IF_ERROR(to_status(
        xnn_reshape_average_pooling2d_nhwc_f32(handle(), batch, input_.height(), input_.width(),
                                               channels, channels, channels, &workspace, &alignment,
                                               &height, &width, pool),
        "reshape"));
    if (height != output_.height() || width != output_.width()) {
      return Status{StatusCode::kInternal, "XNNPACK computes another output shape"};
    }
    return workspace;
  }

  Status setup(const OpBuffers& buffers) override {
    return to_status(xnn_setup_average_pooling2d_nhwc_f32(
                         handle(), buffers.workspace, buffers.f32_input(), buffers.f32_output()),
                     "setup");
  }

 private:
  fbs::Shape input_;
  fbs::Shape output_;
};

}  // namespace

// With padding XNNPACK divides by the elements that are not padding, as model.fbs wants.
OpResult create_average_pool2d(const OpSpec& spec) {
  const fbs::AveragePool2D& pool = *spec.op->options_as_AveragePool2D();
  const fbs::Window& window = *pool.window();
  const fbs::Padding& padding = *pool.padding();
  if (!xnnpack_can(window, padding, spec.output)) {
    return create_scalar_pool(spec, window, padding, kernels::f32_average_pool_row_scalar);
  }
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(
      to_status(xnn_create_average_pooling2d_nhwc_f32(
                    padding.top(), padding.right(), padding.bottom(), padding.left(),
                    window.height(), window.width(), window.stride_height(), window.stride_width(),
                    spec.clamp.minimum, spec.clamp.maximum, /*flags=*/0, &op),
                "create"));
  return OpResult(std::make_unique<AveragePoolOp>(XnnOperator(op), spec));
}

}  // namespace cleave::ops
