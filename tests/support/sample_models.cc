// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sample_models.h"

#include <memory>
#include <numeric>
#include <utility>

namespace cleave::test {
namespace {

std::unique_ptr<fbs::QuantizationT> quantization(fbs::DType dtype, std::vector<float> scale,
                                                 std::vector<std::int32_t> zero_point,
                                                 std::int32_t axis) {
  auto result = std::make_unique<fbs::QuantizationT>();
  result->dtype = dtype;
  result->scale = std::move(scale);
  result->zero_point = std::move(zero_point);
  result->axis = axis;
  return result;
}

std::unique_ptr<fbs::SelfTestT> self_test() {
  auto test = std::make_unique<fbs::SelfTestT>();
  test->pixels.resize(4 * 4 * 3);
  std::iota(test->pixels.begin(), test->pixels.end(), std::uint8_t{0});
  test->variant = "f32";
  test->scores = {0.25f, 0.5f, 0.25f};
  return test;
}

std::unique_ptr<fbs::CodecTableT> codec_table() {
  auto table = std::make_unique<fbs::CodecTableT>();
  table->variant = "f32";
  table->cut = 1;
  table->codec = 7;
  table->data = {1, 2, 3};
  return table;
}

}  // namespace

ModelBuilder all_ops_model() {
  ModelBuilder builder({8, 8, 3});
  const Tensor first =
      builder.conv2d(builder.input(), 4, WindowSpec{.window = 3, .pad = 1});  // 8x8x4
  builder.clamp_last(0, 6);
  Tensor x = builder.depthwise_conv2d(first, WindowSpec{.window = 3, .pad = 1});
  x = builder.add(first, x);
  x = builder.max_pool2d(x, WindowSpec{.window = 2, .stride = 2});  // 4x4x4
  x = builder.pad(x, {1, 1, 1, 1});                                 // 6x6x4
  x = builder.average_pool2d(x, WindowSpec{.window = 3});           // 4x4x4
  x = builder.lrn(x, 3, 1e-4f, 0.75f, 1.0f);
  const Tensor left = builder.leaky_relu(x, 0.1f);
  const Tensor right = builder.hard_swish(x);
  x = builder.concat({left, right});                     // 4x4x8
  x = builder.conv2d(x, 6, WindowSpec{}, 2);             // 4x4x6
  const Tensor pooled = builder.global_average_pool(x);  // 1x1x6
  const Tensor gate = builder.sigmoid(pooled);
  x = builder.multiply(x, gate);
  x = builder.clamp(x, 0);
  x = builder.fully_connected(x, 5);
  builder.softmax(x);
  builder.set_labels({"ash", "birch", "cedar", "douglas fir", "elm"});
  return builder;
}

ModelBuilder weightless_model() {
  ModelBuilder builder({6, 6, 1});
  Tensor x = builder.max_pool2d(builder.input(), WindowSpec{.window = 2, .stride = 2});
  x = builder.lrn(x, 5, 1e-4f, 0.75f, 2.0f);
  builder.global_average_pool(x);
  return builder;
}

ModelBuilder full_header_model() {
  ModelBuilder builder({4, 4, 3}, 7);
  const Tensor x = builder.average_pool2d(builder.input(), WindowSpec{.window = 2, .stride = 2});
  builder.fully_connected(x, 3);
  builder.set_name("full");
  builder.set_labels({"one", "two", "drei \xc3\xbc"});
  builder.set_preprocessing(fbs::ColorOrder::BGR, {103.5f, 116.25f, 123.75f}, {1, 1, 57.5f});
  builder.set_layers({{"pool", "AveragePool2D", 1}, {"classifier", "FullyConnected", 2}});
  fbs::ModelT& draft = builder.draft();
  draft.licence = "Apache-2.0\n\tsee LICENSE";
  draft.preprocessing->crop = fbs::Crop::CenterSquare;
  draft.preprocessing->crop_ppm = 875000;
  builder.op(1).kernel->quantization =
      quantization(fbs::DType::S8, {0.01f, 0.02f, 0.03f}, {0, 0, 0}, 0);
  builder.op(1).bias->quantization = quantization(fbs::DType::S32, {0.001f}, {0}, -1);
  builder.variant().tensors[0]->quantization = quantization(fbs::DType::U8, {0.5f}, {128}, -1);
  builder.variant().tensors[0]->name = "picture";
  draft.self_test = self_test();
  draft.codec_tables.push_back(codec_table());
  return builder;
}

}  // namespace cleave::test
