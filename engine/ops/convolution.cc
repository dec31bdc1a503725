// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/convolution.h"

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

// The indirection buffer is filled again in each run, in the workspace: it then needs no memory of
// its own for each op.
std::uint32_t flags_of(const ConvolutionShape& shape) {
  return XNN_FLAG_TRANSIENT_INDIRECTION_BUFFER |
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
          flags_of(shape), /*code_cache=*/nullptr, spec.packed, &op),
      "create"));
  return OpResult(std::make_unique<Convolution>(XnnOperator(op), kInt8Calls, spec, shape));
}

}  // namespace

OpResult create_convolution(const OpSpec& spec, const ConvolutionShape& shape) {
  if (spec.on_int8()) return create_int8(spec, shape);
  const fbs::Window& window = *shape.window;
  const fbs::Padding& padding = *shape.padding;
  xnn_operator_t op = nullptr;
  CLEAVE_RETURN_IF_ERROR(
      to_status(xnn_create_convolution2d_nhwc_f32(
                    padding.top(), padding.right(), padding.bottom(), padding.left(),
                    window.height(), window.width(), window.stride_height(), window.stride_width(),
                    window.dilation_height(), window.dilation_width(), shape.groups,
                    shape.group_inputs, shape.group_outputs, spec.inputs[0].channels(),
                    spec.output.channels(), spec.f32_kernel(), spec.f32_bias(), spec.clamp.minimum,
                    spec.clamp.maximum, flags_of(shape), /*code_cache=*/nullptr, spec.packed, &op),
                "create"));
  return OpResult(std::make_unique<Convolution>(XnnOperator(op), kF32Calls, spec, shape));
}

}  // namespace cleave::ops
