// SPDX-License-Identifier: Apache-2.0
//
// What is held as what: the rules of model_format.md, "Dtypes".
#include <doctest/doctest.h>

#include <limits>

#include "tests/schemas/spoiled_model.h"

namespace cleave {
namespace {

using test::check_spoiled;
using test::ModelBuilder;
using test::Tensor;
using test::WindowSpec;

enum : std::size_t { kToInt8, kConv, kDepthwise, kAdd, kPool, kConcat, kToF32, kFullyConnected };

ModelBuilder int8_model() {
  ModelBuilder b({6, 6, 3}, 5);
  const Tensor x = b.to_int8(b.input(), 0.02F, -1);
  const Tensor y = b.conv2d(x, 4, WindowSpec{.window = 3, .pad = 1});
  b.int8_last(0.05F, 3);
  const Tensor z = b.depthwise_conv2d(y, WindowSpec{.window = 3, .pad = 1});
  b.int8_last(0.04F, 0);
  const Tensor sum = b.add(y, z);
  b.int8_last(0.06F, -128);
  const Tensor pooled = b.max_pool2d(sum, WindowSpec{.window = 3, .pad = 1});
  b.int8_last(0.06F, -128);
  const Tensor joined = b.concat({sum, pooled});
  b.int8_last(0.06F, -128);
  b.fully_connected(b.to_f32(joined), 5);
  b.store_last_kernel(fbs::DType::S8);
  return b;
}

fbs::OpT& op(fbs::ModelT& model, std::size_t index) { return *model.variants[0]->ops[index]; }
fbs::TensorT& output(fbs::ModelT& model, std::size_t index) {
  return *model.variants[0]->tensors[op(model, index).output];
}
fbs::QuantizationT& scales(fbs::ModelT& model, std::size_t index) {
  return *output(model, index).quantization;
}

struct Case {
  std::function<void(fbs::ModelT&)> change;
  std::string expected;
  StatusCode code = StatusCode::kCorrupt;
};

void check_cases(const std::vector<Case>& cases) {
  for (const Case& c : cases) check_spoiled(int8_model, c.change, c.expected, c.code);
}

}  // namespace

TEST_CASE("an int8 variant is read") {
  check_spoiled(
      int8_model, [](fbs::ModelT&) {}, "");
}

TEST_CASE("int8 tensors have one scale that numbers can be made of") {
  check_cases({
      {[](fbs::ModelT& m) { output(m, kConv).quantization.reset(); }, "without one int8 scale"},
      {[](fbs::ModelT& m) { scales(m, kConv).dtype = fbs::DType::U8; }, "without one int8 scale"},
      {[](fbs::ModelT& m) {
         scales(m, kConv).scale.assign(4, 0.1F);
         scales(m, kConv).zero_point.assign(4, 0);
         scales(m, kConv).axis = 2;
       },
       "without one int8 scale"},
      {[](fbs::ModelT& m) { scales(m, kConv).scale[0] = 0; }, "scale is not a positive number"},
      {[](fbs::ModelT& m) { scales(m, kConv).scale[0] = 1e-42F; }, "scale is not a positive"},
      {[](fbs::ModelT& m) { scales(m, kConv).zero_point[0] = 128; }, "zero_point is not an int8"},
      {[](fbs::ModelT& m) { scales(m, kConv).zero_point[0] = -129; }, "zero_point is not an int8"},
      {[](fbs::ModelT& m) { output(m, kConv).dtype = static_cast<fbs::DType>(9); },
       "unknown dtype"},
      {[](fbs::ModelT& m) { output(m, kConv).dtype = fbs::DType::U8; }, "tensors of dtype U8",
       StatusCode::kUnsupported},
  });
}

TEST_CASE("an op's tensors go together") {
  check_cases({
      {[](fbs::ModelT& m) { output(m, kConv).dtype = fbs::DType::F32; }, "not of one dtype"},
      {[](fbs::ModelT& m) { scales(m, kPool).scale[0] = 0.07F; }, "differ in scale or zero point"},
      {[](fbs::ModelT& m) { scales(m, kConcat).zero_point[0] = 1; },
       "differ in scale or zero point"},
      {[](fbs::ModelT& m) { op(m, kPool).options.Set(fbs::LeakyReluT{}); }, "not computed on int8",
       StatusCode::kUnsupported},
      {[](fbs::ModelT& m) { output(m, kToInt8).dtype = fbs::DType::F32; }, "held alike"},
      {[](fbs::ModelT& m) { op(m, kToF32).clamp = std::make_unique<fbs::Clamp>(0.0F, 1.0F); },
       "must not have a clamp"},
      {[](fbs::ModelT& m) {
         fbs::TensorT& input = *m.variants[0]->tensors[m.variants[0]->input];
         input.dtype = fbs::DType::S8;
         input.quantization = std::make_unique<fbs::QuantizationT>(scales(m, kConv));
       },
       "input or output is not f32"},
  });
}

TEST_CASE("weights go with their tensors") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  check_cases({
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization.reset(); },
       "without int8 quantization parameters"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization->zero_point[1] = 2; },
       "with a zero point"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization->scale[1] = 0; },
       "not a positive number"},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization->scale[1] = kNan; }, "not finite"},
      {[](fbs::ModelT& m) {
         op(m, kDepthwise).kernel->quantization->axis = 0;
         op(m, kDepthwise).kernel->quantization->scale.assign(3, 0.1F);
         op(m, kDepthwise).kernel->quantization->zero_point.assign(3, 0);
       },
       "along another axis"},
      {[](fbs::ModelT& m) { op(m, kConv).bias->dtype = fbs::DType::F32; }, "bias of dtype F32",
       StatusCode::kUnsupported},
      {[](fbs::ModelT& m) { op(m, kFullyConnected).bias->dtype = fbs::DType::S32; },
       "bias of dtype S32", StatusCode::kUnsupported},
      {[](fbs::ModelT& m) { op(m, kFullyConnected).kernel->dtype = fbs::DType::U8; },
       "kernel of dtype U8", StatusCode::kUnsupported},
  });
}

TEST_CASE("scales that kernels cannot bring together are refused") {
  check_cases({
      {[](fbs::ModelT& m) { scales(m, kConv).scale[0] = 1e-9F; }, "too far apart",
       StatusCode::kUnsupported},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization->scale[2] = 1e30F; }, "too far apart",
       StatusCode::kUnsupported},
      {[](fbs::ModelT& m) { op(m, kConv).kernel->quantization->scale[2] = 1e-30F; },
       "too far apart", StatusCode::kUnsupported},
      {[](fbs::ModelT& m) {
         for (const std::size_t index : {kAdd, kPool, kConcat}) scales(m, index).scale[0] = 100;
       },
       "too far apart", StatusCode::kUnsupported},
  });
  const auto convert = [](float from, float to) {
    return [=] {
      ModelBuilder b({2, 2, 3}, 5);
      b.to_f32(b.to_int8(b.to_int8(b.input(), from, 0), to, 0));
      return b;
    };
  };
  CHECK(ModelFile::from_bytes(convert(1, 2)().build()).is_ok());
  CHECK(ModelFile::from_bytes(convert(1, 300)().build()).status().code() ==
        StatusCode::kUnsupported);
  CHECK(ModelFile::from_bytes(convert(300, 1)().build()).status().code() ==
        StatusCode::kUnsupported);
}

TEST_CASE("a variant holds what its precision says") {
  check_cases({
      {[](fbs::ModelT& m) { m.variants[0]->precision = fbs::Precision::F32; },
       "a tensor that is not f32"},
      {[](fbs::ModelT& m) { m.variants[0]->precision = fbs::Precision::F16; },
       "a tensor that is not f32"},
  });
  const auto f16_model = [] {
    ModelBuilder b({6, 6, 3}, 5);
    b.conv2d(b.input(), 4, WindowSpec{});
    b.store_last_kernel(fbs::DType::F16);
    return b;
  };
  check_spoiled(
      f16_model, [](fbs::ModelT&) {}, "");
  check_spoiled(
      f16_model, [](fbs::ModelT& m) { m.variants[0]->precision = fbs::Precision::F32; },
      "weights that are not f32");
  check_spoiled(
      f16_model, [](fbs::ModelT& m) { m.variants[0]->precision = fbs::Precision::QS8; }, "");
}

}  // namespace cleave
