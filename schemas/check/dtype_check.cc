// SPDX-License-Identifier: Apache-2.0
#include "schemas/check/dtype_check.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "schemas/check/op_check.h"
#include "schemas/int8_bounds.h"
#include "schemas/op_shape.h"

namespace cleave {
namespace {

const fbs::Tensor& tensor_of(const fbs::Variant& variant, std::uint32_t index) {
  return *variant.tensors()->Get(index);
}

// REQUIRES: both S8.
bool same_parameters(const fbs::Tensor& a, const fbs::Tensor& b) {
  return a.quantization()->scale()->Get(0) == b.quantization()->scale()->Get(0) &&
         a.quantization()->zero_point()->Get(0) == b.quantization()->zero_point()->Get(0);
}

float scale_of(const fbs::Tensor& tensor) { return tensor.quantization()->scale()->Get(0); }

// Written so that what is not a number is outside.
bool within(float ratio, float least, float below) { return ratio >= least && ratio < below; }

Status unsupported_ratio(const char* what) {
  return {StatusCode::kUnsupported, std::string("int8: the scales of ") + what +
                                        " and the output are too far apart to compute with"};
}

// What the integers of an op's inputs and output must have in common.
enum class Int8Rule { kNever, kAny, kSameParameters };

Int8Rule int8_rule(fbs::OpOptions kind) {
  switch (kind) {
    case fbs::OpOptions::Conv2D:
    case fbs::OpOptions::DepthwiseConv2D:
    case fbs::OpOptions::Add:
      return Int8Rule::kAny;
    case fbs::OpOptions::MaxPool2D:
    case fbs::OpOptions::ClampOnly:
    case fbs::OpOptions::Concat:
    case fbs::OpOptions::Pad:
      return Int8Rule::kSameParameters;
    default:
      return Int8Rule::kNever;
  }
}

Status check_tensors_of(const fbs::Variant& variant, const fbs::Op& op) {
  const fbs::Tensor& output = tensor_of(variant, op.output());
  for (const std::uint32_t index : *op.inputs()) {
    if (tensor_of(variant, index).dtype() != output.dtype()) {
      return corrupt("inputs and output are not of one dtype");
    }
  }
  if (output.dtype() == fbs::DType::F32) return Status::ok();
  if (op.options_type() == fbs::OpOptions::Add) {
    for (const std::uint32_t index : *op.inputs()) {
      const float ratio = scale_of(tensor_of(variant, index)) / scale_of(output);
      if (!within(ratio, kLeastSumRatio, kSumRatioBelow)) return unsupported_ratio("an input");
    }
  }
  const Int8Rule rule = int8_rule(op.options_type());
  if (rule == Int8Rule::kNever) {
    return {StatusCode::kUnsupported, "this operator is not computed on int8 tensors"};
  }
  if (rule == Int8Rule::kAny) return Status::ok();
  const bool same = std::ranges::all_of(*op.inputs(), [&](std::uint32_t index) {
    return same_parameters(tensor_of(variant, index), output);
  });
  return same ? Status::ok() : corrupt("int8 inputs and output differ in scale or zero point");
}

// Both S8 with the same parameters would do nothing; both F32 as well.
Status check_convert(const fbs::Variant& variant, const fbs::Op& op) {
  const fbs::Tensor& input = tensor_of(variant, op.inputs()->Get(0));
  const fbs::Tensor& output = tensor_of(variant, op.output());
  const bool converts = input.dtype() != output.dtype() ||
                        (input.dtype() == fbs::DType::S8 && !same_parameters(input, output));
  if (!converts) return corrupt("input and output are held alike");
  if (input.dtype() == fbs::DType::S8 && output.dtype() == fbs::DType::S8 &&
      !within(scale_of(input) / scale_of(output), kLeastConvertRatio, kConvertRatioBelow)) {
    return unsupported_ratio("the input");
  }
  return op.clamp() == nullptr ? Status::ok() : corrupt("must not have a clamp");
}

Status check_dtype(const fbs::WeightView* view, std::initializer_list<fbs::DType> allowed,
                   const char* what) {
  if (view == nullptr || std::ranges::find(allowed, view->dtype()) != allowed.end()) {
    return Status::ok();
  }
  return {StatusCode::kUnsupported, std::string("a ") + what + " of dtype " +
                                        fbs::EnumNameDType(view->dtype()) +
                                        " with these tensors is not computed"};
}

// Symmetric integers, by tensor or by output channel.
Status check_int8_kernel(const fbs::Op& op) {
  const fbs::Quantization* quantization = op.kernel()->quantization();
  if (quantization == nullptr || quantization->dtype() != fbs::DType::S8) {
    return corrupt("an int8 kernel without int8 quantization parameters");
  }
  const std::int32_t channel_axis = op.options_type() == fbs::OpOptions::DepthwiseConv2D ? 2 : 0;
  if (quantization->scale()->size() != 1 && quantization->axis() != channel_axis) {
    return corrupt("an int8 kernel with scales along another axis than its output channels");
  }
  const bool symmetric =
      std::ranges::all_of(*quantization->zero_point(), [](std::int32_t z) { return z == 0; });
  if (!symmetric) return corrupt("an int8 kernel with a zero point");
  return std::ranges::all_of(*quantization->scale(), is_scale)
             ? Status::ok()
             : corrupt("an int8 kernel with a scale that is not a positive number");
}

// The factor from a convolution's sums to its output.
Status check_requantization(const fbs::Variant& variant, const fbs::Op& op) {
  const float input = scale_of(tensor_of(variant, op.inputs()->Get(0)));
  const float output = scale_of(tensor_of(variant, op.output()));
  const auto& scales = *op.kernel()->quantization()->scale();
  const bool sound = std::ranges::all_of(scales, [&](float kernel) {
    return within(input * kernel / output, kLeastKernelRatio, kKernelRatioBelow);
  });
  return sound ? Status::ok() : unsupported_ratio("input, kernel");
}

Status check_weight_dtypes(const fbs::Op& op, fbs::DType tensors) {
  using enum fbs::DType;
  const bool int8_tensors = tensors == S8;
  const bool int8_kernel = op.kernel()->dtype() == S8;
  if (int8_tensors) {
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.kernel(), {S8}, "kernel"));
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.bias(), {S32}, "bias"));
  } else if (op.options_type() == fbs::OpOptions::FullyConnected) {
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.kernel(), {F32, F16, S8}, "kernel"));
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.bias(), {F32}, "bias"));
  } else {
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.kernel(), {F32, F16}, "kernel"));
    CLEAVE_RETURN_IF_ERROR(check_dtype(op.bias(), {F32}, "bias"));
  }
  return int8_kernel ? check_int8_kernel(op) : Status::ok();
}

bool all_tensors_f32(const fbs::Variant& variant) {
  return std::ranges::all_of(*variant.tensors(), [](const fbs::Tensor* tensor) {
    return tensor->dtype() == fbs::DType::F32;
  });
}

bool all_kernels(const fbs::Variant& variant, std::initializer_list<fbs::DType> allowed) {
  return std::ranges::all_of(*variant.ops(), [&](const fbs::Op* op) {
    return op->kernel() == nullptr ||
           std::ranges::find(allowed, op->kernel()->dtype()) != allowed.end();
  });
}

}  // namespace

Status check_tensor_dtype(const fbs::Tensor& tensor) {
  if (tensor.dtype() == fbs::DType::F32) return Status::ok();
  if (tensor.dtype() > fbs::DType::MAX) return corrupt("unknown dtype");
  if (tensor.dtype() != fbs::DType::S8) {
    return {StatusCode::kUnsupported,
            std::string("tensors of dtype ") + fbs::EnumNameDType(tensor.dtype())};
  }
  const fbs::Quantization* quantization = tensor.quantization();
  if (quantization == nullptr || quantization->dtype() != fbs::DType::S8 ||
      quantization->scale()->size() != 1) {
    return corrupt("an int8 tensor without one int8 scale");
  }
  const std::int32_t zero_point = quantization->zero_point()->Get(0);
  if (zero_point < -128 || zero_point > 127) return corrupt("zero_point is not an int8");
  return is_scale(quantization->scale()->Get(0)) ? Status::ok()
                                                 : corrupt("scale is not a positive number");
}

Status check_op_dtypes(const fbs::Variant& variant, const fbs::Op& op) {
  if (op.options_type() == fbs::OpOptions::Convert) return check_convert(variant, op);
  CLEAVE_RETURN_IF_ERROR(check_tensors_of(variant, op));
  if (!has_weights(op)) return Status::ok();
  const fbs::DType tensors = tensor_of(variant, op.output()).dtype();
  CLEAVE_RETURN_IF_ERROR(check_weight_dtypes(op, tensors));
  return tensors == fbs::DType::S8 ? check_requantization(variant, op) : Status::ok();
}

Status check_variant_dtypes(const fbs::Variant& variant) {
  using enum fbs::DType;
  if (tensor_of(variant, variant.input()).dtype() != F32 ||
      tensor_of(variant, variant.output()).dtype() != F32) {
    return corrupt("input or output is not f32");
  }
  const bool f32 = variant.precision() == fbs::Precision::F32;
  const bool f16 = variant.precision() == fbs::Precision::F16;
  if ((f32 || f16) && !all_tensors_f32(variant)) return corrupt("a tensor that is not f32");
  if (f32 && !all_kernels(variant, {F32})) return corrupt("weights that are not f32");
  if (f16 && !all_kernels(variant, {F32, F16})) return corrupt("weights that are not f32 or f16");
  return Status::ok();
}

}  // namespace cleave
