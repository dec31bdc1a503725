// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/convolution.h"

#include <algorithm>

#include "engine/ops/int8_range.h"

namespace cleave::ops {
namespace {

// XNNPACK computes such a convolution as one product over all pixels of all pictures.
bool is_product(const ConvolutionShape& shape) {
  const fbs::Window& window = *shape.window;
  const fbs::Padding& padding = *shape.padding;
  return window.height() * window.width() == 1 && window.stride_height() == 1 &&
         window.stride_width() == 1 &&
         (padding.top() | padding.right() | padding.bottom() | padding.left()) == 0;
}

// What differs between the types of tensors once the operator is made.
struct Calls {
  decltype(&xnn_reshape_convolution2d_nhwc_f32) reshape;
  xnn_status (*setup)(xnn_operator_t op, void* workspace, const void* input, void* output);
};

constexpr Calls kF32Calls{xnn_reshape_convolution2d_nhwc_f32,
                          [](xnn_operator_t op, void* workspace, const void* input, void* output) {
                            return xnn_setup_convolution2d_nhwc_f32(
                                op, workspace, static_cast<const float*>(input),
                                static_cast<float*>(output));
                          }};
constexpr Calls kInt8Calls{xnn_reshape_convolution2d_nhwc_qs8_qc8w,
                           [](xnn_operator_t op, void* workspace, const void* input, void* output) {
                             return xnn_setup_convolution2d_nhwc_qs8_qc8w(
                                 op, workspace, static_cast<const std::int8_t*>(input),
                                 static_cast<std::int8_t*>(output));
                           }};

class Convolution final : public Op {
 public:
  Convolution(XnnOperator op, const Calls& calls, const OpSpec& spec, const ConvolutionShape& shape)
      : operator_(std::move(op)),
        calls_(calls),
        element_bytes_(dtype_bytes(spec.output_type.dtype)),
        input_(spec.inputs[0]),
        output_(spec.output),
        is_product_(is_product(shape)) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    batch_ = batch;
    step_ = is_product_ ? pictures_per_product(batch) : batch;
    std::size_t workspace = 0;
    std::size_t alignment = 0;
    std::size_t height = 0;
    std::size_t width = 0;
    CLEAVE_RETURN_IF_ERROR(
        to_status(calls_.reshape(operator_.get(), step_, input_.height(), input_.width(),
                                 &workspace, &alignment, &height, &width, pool),
                  "reshape"));
    if (height != output_.height() || width != output_.width()) {
      return Status{StatusCode::kInternal, "XNNPACK computes another output shape"};
    }
    return workspace;
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = static_cast<const std::byte*>(buffers.inputs[0]);
    output_data_ = static_cast<std::byte*>(buffers.output);
    workspace_ = buffers.workspace;
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
    return to_status(calls_.setup(operator_.get(), workspace_,
                                  input_data_ + picture * element_count(input_) * element_bytes_,
                                  output_data_ + picture * element_count(output_) * element_bytes_),
                     "setup");
  }

  XnnOperator operator_;
  const Calls& calls_;
  std::size_t element_bytes_;
  fbs::Shape input_;
  fbs::Shape output_;
  bool is_product_;
  std::uint32_t batch_ = 0;
  std::uint32_t step_ = 0;
  const std::byte* input_data_ = nullptr;
  std::byte* output_data_ = nullptr;
  void* workspace_ = nullptr;
};

// Pointers that are not kept are made again in each run, in the workspace: they then need no memory
// of their own for each op, and take a thirtieth of MobileNetV2's time.
std::uint32_t flags_of(const OpSpec& spec, const ConvolutionShape& shape) {
  return (kept_pointer_bytes(spec, shape) == 0 ? XNN_FLAG_TRANSIENT_INDIRECTION_BUFFER : 0) |
         (shape.depthwise_kernel ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0);
}

OpResult create_int8(const OpSpec& spec, const ConvolutionShape& shape) {
  const fbs::Window& window = *shape.window;
  const fbs::Padding& padding = *shape.padding;
  const TensorType& input = spec.input_types[0];
  const TensorType& output = spec.output_type;
  const Int8Range range = int8_range(spec.clamp, output);
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(
      xnn_create_convolution2d_nhwc_qs8_qc8w(
          padding.top(), padding.right(), padding.bottom(), padding.left(), window.height(),
          window.width(), window.stride_height(), window.stride_width(), window.dilation_height(),
          window.dilation_width(), shape.groups, shape.group_inputs, shape.group_outputs,
          spec.inputs[0].channels(), spec.output.channels(),
          static_cast<std::int8_t>(input.zero_point), input.scale, spec.kernel_scales.data(),
          static_cast<const std::int8_t*>(spec.kernel), static_cast<const std::int32_t*>(spec.bias),
          static_cast<std::int8_t>(output.zero_point), output.scale, range.minimum, range.maximum,
          flags_of(spec, shape), /*code_cache=*/nullptr, spec.packed, &op),
      "create"));
  return OpResult(std::make_unique<Convolution>(XnnOperator(op), kInt8Calls, spec, shape));
}

}  // namespace

ConvolutionShape convolution_shape(const OpSpec& spec) {
  if (const auto* depthwise = spec.op->options_as_DepthwiseConv2D()) {
    return {.window = depthwise->window(),
            .padding = depthwise->padding(),
            .groups = spec.inputs[0].channels(),
            .group_inputs = 1,
            .group_outputs = depthwise->multiplier(),
            .depthwise_kernel = true};
  }
  const fbs::Conv2D& conv = *spec.op->options_as_Conv2D();
  return {.window = conv.window(),
          .padding = conv.padding(),
          .groups = conv.groups(),
          .group_inputs = spec.inputs[0].channels() / conv.groups(),
          .group_outputs = spec.output.channels() / conv.groups()};
}

std::size_t kept_pointer_bytes(const OpSpec& spec, const ConvolutionShape& shape) {
  constexpr std::size_t kMostBytes = 1 << 20;
  if (spec.preference == Preference::kMemory || is_product(shape)) return 0;
  const fbs::Window& window = *shape.window;
  const std::size_t window_pixels = std::size_t{window.height()} * window.width();
  std::size_t row = window_pixels * spec.output.width();
  if (shape.groups > 1 && shape.group_inputs == 1 && shape.group_outputs == 1) {
    // Depthwise: neighbouring windows share the columns that both see.
    const std::size_t step = window.dilation_width() == 1
                                 ? std::min(window.stride_width(), window.width())
                                 : window.width();
    row = window_pixels + (spec.output.width() - 1) * step * window.height();
  }
  const std::size_t bytes = sizeof(void*) * row * spec.output.height();
  return bytes <= kMostBytes ? bytes : 0;
}

OpResult create_convolution(const OpSpec& spec, const ConvolutionShape& shape) {
  if (spec.on_int8()) return create_int8(spec, shape);
  const fbs::Window& window = *shape.window;
  const fbs::Padding& padding = *shape.padding;
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(
      xnn_create_convolution2d_nhwc_f32(
          padding.top(), padding.right(), padding.bottom(), padding.left(), window.height(),
          window.width(), window.stride_height(), window.stride_width(), window.dilation_height(),
          window.dilation_width(), shape.groups, shape.group_inputs, shape.group_outputs,
          spec.inputs[0].channels(), spec.output.channels(), spec.f32_kernel(), spec.f32_bias(),
          spec.clamp.minimum, spec.clamp.maximum, flags_of(spec, shape), /*code_cache=*/nullptr,
          spec.packed, &op),
      "create"));
  return OpResult(std::make_unique<Convolution>(XnnOperator(op), kF32Calls, spec, shape));
}

}  // namespace cleave::ops
