// SPDX-License-Identifier: Apache-2.0
//
// The builder's f16 and int8.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "engine/kernels/half.h"
#include "tests/support/model_builder.h"

namespace cleave::test {
namespace {

constexpr std::uint64_t kViewAlignment = 64;

std::vector<float> floats_of(const std::vector<std::byte>& segment, const fbs::WeightViewT& view) {
  std::vector<float> values(view.bytes / sizeof(float));
  std::memcpy(values.data(), segment.data() + view.offset, view.bytes);
  return values;
}

template <typename Element>
void put(std::vector<std::byte>& segment, fbs::WeightViewT& view, fbs::DType dtype,
         const std::vector<Element>& values) {
  segment.resize((segment.size() + kViewAlignment - 1) / kViewAlignment * kViewAlignment);
  const auto bytes = std::as_bytes(std::span(values));
  view.dtype = dtype;
  view.offset = segment.size();
  view.bytes = bytes.size();
  segment.insert(segment.end(), bytes.begin(), bytes.end());
}

std::unique_ptr<fbs::QuantizationT> quantization(std::vector<float> scales, std::int32_t zero_point,
                                                 std::int32_t axis) {
  auto result = std::make_unique<fbs::QuantizationT>();
  result->dtype = fbs::DType::S8;
  result->zero_point.assign(scales.size(), zero_point);
  result->scale = std::move(scales);
  result->axis = axis;
  return result;
}

}  // namespace

void ModelBuilder::hold_as_int8(Tensor tensor, float scale, std::int32_t zero_point) {
  fbs::TensorT& held = *variant().tensors.at(tensor);
  held.dtype = fbs::DType::S8;
  held.quantization = quantization({scale}, zero_point, -1);
  variant().precision = fbs::Precision::QS8;
}

Tensor ModelBuilder::to_int8(Tensor x, float scale, std::int32_t zero_point) {
  const Tensor output = to_f32(x);
  hold_as_int8(output, scale, zero_point);
  return output;
}

Tensor ModelBuilder::to_f32(Tensor x) {
  fbs::OpT op;
  op.options.Set(fbs::ConvertT{});
  op.inputs = {x};
  return finish_op(std::move(op));
}

void ModelBuilder::int8_last(float scale, std::int32_t zero_point) {
  fbs::OpT& op = *variant().ops.back();
  hold_as_int8(op.output, scale, zero_point);
  if (op.kernel == nullptr) return;
  const auto bias = op.bias == nullptr
                        ? std::vector<float>()
                        : floats_of(segments_.at(static_cast<std::size_t>(op.segment)), *op.bias);
  store_last_kernel(fbs::DType::S8);
  if (op.bias == nullptr) return;
  const double input_scale = variant().tensors.at(op.inputs[0])->quantization->scale[0];
  std::vector<std::int32_t> integers;
  for (const float value : bias) {
    const double unit = input_scale * double{op.kernel->quantization->scale[integers.size()]};
    integers.push_back(static_cast<std::int32_t>(std::lround(value / unit)));
  }
  put(segments_.at(static_cast<std::size_t>(op.segment)), *op.bias, fbs::DType::S32, integers);
}

void ModelBuilder::store_last_kernel(fbs::DType dtype) {
  fbs::OpT& op = *variant().ops.back();
  std::vector<std::byte>& old = segments_.at(static_cast<std::size_t>(op.segment));
  const std::vector<float> kernel = floats_of(old, *op.kernel);
  const auto bias = op.bias == nullptr ? std::vector<float>() : floats_of(old, *op.bias);
  std::vector<std::byte> segment;
  if (dtype == fbs::DType::F16) {
    std::vector<std::uint16_t> halves(kernel.size());
    std::ranges::transform(kernel, halves.begin(), kernels::float_to_half);
    put(segment, *op.kernel, dtype, halves);
    variant().precision = fbs::Precision::F16;
  } else {
    const std::size_t channels = shape(op.output).channels();
    const bool last = op.options.type == fbs::OpOptions::DepthwiseConv2D;
    const auto channel_of = [&](std::size_t i) {
      return last ? i % channels : i / (kernel.size() / channels);
    };
    std::vector<float> scales(channels, 1e-6F);
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      float& scale = scales[channel_of(i)];
      scale = std::max(scale, std::abs(kernel[i]) / 127);
    }
    std::vector<std::int8_t> integers;
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      integers.push_back(static_cast<std::int8_t>(std::lround(kernel[i] / scales[channel_of(i)])));
    }
    put(segment, *op.kernel, dtype, integers);
    op.kernel->quantization = quantization(scales, 0, last ? 2 : 0);
    variant().precision = fbs::Precision::QS8;
  }
  if (op.bias != nullptr) put(segment, *op.bias, fbs::DType::F32, bias);
  old = std::move(segment);
}

}  // namespace cleave::test
