// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/kernels.h"
#include "engine/ops/int8_range.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/scalar_pool.h"
#include "engine/ops/xnnpack_runtime.h"

namespace cleave::ops {
namespace {

// XNNPACK refuses a window of one element and strides wider than the window. With dilation it
// replaces taps in the padding by others that it takes from outside the window, or the picture,
// when a window begins in the trailing padding.
bool xnnpack_can(const fbs::Window& window, const fbs::Padding& padding) {
  const bool dilated = window.dilation_height() > 1 || window.dilation_width() > 1;
  const bool padded = (padding.top() | padding.right() | padding.bottom() | padding.left()) != 0;
  return window.height() * window.width() > 1 && window.stride_height() <= window.height() &&
         window.stride_width() <= window.width() && !(dilated && padded);
}

class XnnMaxPool final : public XnnOp {
 public:
  XnnMaxPool(XnnOperator op, const OpSpec& spec)
      : XnnOp(std::move(op)), input_(spec.inputs[0]), output_(spec.output), int8_(spec.on_int8()) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    const std::size_t channels = input_.channels();
    std::size_t height = 0;
    std::size_t width = 0;
    const auto reshape_pool =
        int8_ ? xnn_reshape_max_pooling2d_nhwc_s8 : xnn_reshape_max_pooling2d_nhwc_f32;
    CLEAVE_RETURN_IF_ERROR(
        to_status(reshape_pool(handle(), batch, input_.height(), input_.width(), channels, channels,
                               channels, &height, &width, pool),
                  "reshape"));
    if (height != output_.height() || width != output_.width()) {
      return Status{StatusCode::kInternal, "XNNPACK computes another output shape"};
    }
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    if (!int8_) {
      return to_status(
          xnn_setup_max_pooling2d_nhwc_f32(handle(), buffers.f32_input(), buffers.f32_output()),
          "setup");
    }
    return to_status(xnn_setup_max_pooling2d_nhwc_s8(
                         handle(), static_cast<const std::int8_t*>(buffers.inputs[0]),
                         static_cast<std::int8_t*>(buffers.output)),
                     "setup");
  }

 private:
  fbs::Shape input_;
  fbs::Shape output_;
  bool int8_;
};

xnn_status create_xnn(const OpSpec& spec, const fbs::Window& window, const fbs::Padding& padding,
                      xnn_operator_t* op) {
  if (spec.on_int8()) {
    const Int8Range range = int8_range(spec.clamp, spec.output_type);
    return xnn_create_max_pooling2d_nhwc_s8(
        padding.top(), padding.right(), padding.bottom(), padding.left(), window.height(),
        window.width(), window.stride_height(), window.stride_width(), window.dilation_height(),
        window.dilation_width(), range.minimum, range.maximum, /*flags=*/0, op);
  }
  return xnn_create_max_pooling2d_nhwc_f32(
      padding.top(), padding.right(), padding.bottom(), padding.left(), window.height(),
      window.width(), window.stride_height(), window.stride_width(), window.dilation_height(),
      window.dilation_width(), spec.clamp.minimum, spec.clamp.maximum, /*flags=*/0, op);
}

}  // namespace

OpResult create_max_pool2d(const OpSpec& spec) {
  const fbs::MaxPool2D& pool = *spec.op->options_as_MaxPool2D();
  const fbs::Window& window = *pool.window();
  const fbs::Padding& padding = *pool.padding();
  if (!xnnpack_can(window, padding)) {
    return spec.on_int8()
               ? create_scalar_pool(spec, window, padding, kernels::s8_max_pool_row_scalar)
               : create_scalar_pool(spec, window, padding, kernels::f32_max_pool_row_scalar);
  }
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(create_xnn(spec, window, padding, &op), "create"));
  return OpResult(std::make_unique<XnnMaxPool>(XnnOperator(op), spec));
}

}  // namespace cleave::ops
