// SPDX-License-Identifier: Apache-2.0
//
// Small TFLite files must compute what the format says: every expected value is worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/importer/importer.h"
#include "tests/engine/importer/tflite_builder.h"
#include "tests/support/float_values.h"
#include "tests/support/graph_interpreter.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Hwc;
using importer::Node;
using importer::NodeKind;
using tflite::Activation;
using tflite::BuiltinOperator;
using tflite::OperatorOptions;
using tflite::Padding;
using tflite::TensorType;

Graph read(const std::vector<std::byte>& file) {
  Result<Graph> graph = importer::read_tflite(file);
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(*graph);
}

// What a file of one operator with one computed input makes of `input`.
std::vector<float> run_single(BuiltinOperator code, const std::vector<int>& shape,
                              const std::vector<float>& input,
                              OperatorOptions type = OperatorOptions::NONE,
                              flatbuffers::Offset<void> (*options)(TfliteBuilder&) = nullptr) {
  TfliteBuilder b;
  const int x = b.tensor("x", shape);
  const int y = b.tensor("y", shape);
  b.op(code, {x}, {y}, type, options == nullptr ? 0 : options(b));
  return interpret(read(b.finish({x}, {y})), input);
}

// 3 x 3 kernel of ones, stride 2, SAME, on a square of 1, 2, 3 ...
std::vector<float> same_convolution(int side) {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, side, side, 1});
  const int w = b.constant<float>("w", {1, 3, 3, 1}, std::vector<float>(9, 1.0F));
  const int bias = b.constant<float>("b", {1}, {0.5F});
  const int y = b.tensor("y", {1, 2, 2, 1});
  b.op(BuiltinOperator::CONV_2D, {x, w, bias}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::SAME, 2));
  return interpret(read(b.finish({x}, {y})), counting(static_cast<std::size_t>(side * side)));
}

TEST_CASE("CONV_2D: SAME puts the odd row of zeros at the bottom right") {
  // 3 x 3 needs one row on each side, 4 x 4 only one after.
  check_values(same_convolution(3), {12.5F, 16.5F, 24.5F, 28.5F});
  check_values(same_convolution(4), {54.5F, 45.5F, 72.5F, 54.5F});
}

TEST_CASE("CONV_2D: a kernel of fewer input channels means groups") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 4});
  const int w = b.constant<float>("w", {2, 1, 1, 2}, {1, 10, 100, 1000});
  const int y = b.tensor("y", {1, 1, 1, 2});
  b.op(BuiltinOperator::CONV_2D, {x, w, -1}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::VALID));
  check_values(interpret(read(b.finish({x}, {y})), counting(4)), {21, 4300});
}

TEST_CASE("a fused activation is a node of its own") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 2});
  const int w = b.constant<float>("w", {2, 1, 1, 2}, {1, 1, -1, -1});
  const int y = b.tensor("conv;bias;relu", {1, 1, 1, 2});
  b.op(BuiltinOperator::CONV_2D, {x, w}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::VALID, 1, Activation::RELU6));
  const Graph graph = read(b.finish({x}, {y}));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[0].name == "conv");
  CHECK(graph.nodes[0].source_type == "CONV_2D");
  CHECK_FALSE(graph.nodes[0].has_clamp());
  CHECK(graph.nodes[1].kind == NodeKind::kClamp);
  CHECK(graph.nodes[1].source_type == "RELU6");
  check_values(interpret(graph, std::vector<float>{4, 3}), {6, 0});
}

TEST_CASE("DEPTHWISE_CONV_2D: output channel c * multiplier + j") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 2});
  const int w = b.constant<float>("w", {1, 1, 1, 4}, {1, 10, 100, 1000});
  const int y = b.tensor("y", {1, 1, 1, 4});
  b.op(BuiltinOperator::DEPTHWISE_CONV_2D, {x, w}, {y}, OperatorOptions::DepthwiseConv2DOptions,
       depthwise_options(b, Padding::VALID));
  check_values(interpret(read(b.finish({x}, {y})), counting(2)), {1, 10, 200, 2000});
}

TEST_CASE("FULLY_CONNECTED sees its input in the order that the file flattens it") {
  // Height 1, width 2, channels 2: 1 2 3 4 as N,H,W,C is 1 3 2 4 as N,C,H,W.
  for (const bool nchw : {false, true}) {
    CAPTURE(nchw);
    TfliteBuilder b;
    const int x = b.tensor("x", {1, 1, 2, 2});
    const int order = b.constant<std::int32_t>("order", {4}, {0, 3, 1, 2});
    const int turned = b.tensor("turned", {1, 2, 1, 2});
    const int flat = b.tensor("flat", {1, 4});
    const int w = b.constant<float>("w", {1, 4}, {1, 10, 100, 1000});
    const int y = b.tensor("y", {1, 1});
    if (nchw) b.op(BuiltinOperator::TRANSPOSE, {x, order}, {turned});
    b.op(BuiltinOperator::RESHAPE, {nchw ? turned : x}, {flat});
    b.op(BuiltinOperator::FULLY_CONNECTED, {flat, w, -1}, {y},
         OperatorOptions::FullyConnectedOptions, fully_connected_options(b));
    check_values(interpret(read(b.finish({x}, {y})), counting(4)), {nchw ? 4231.0F : 4321.0F});
  }
}

TEST_CASE("a network of N,C,H,W behind transposes runs on height, width, channels") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 3, 2, 1});
  const int order = b.constant<std::int32_t>("order", {4}, {0, 2, 3, 1});
  const int turned = b.tensor("turned", {1, 2, 1, 3});
  const int w = b.constant<float>("w", {1, 1, 1, 3}, {1, 10, 100});
  const int y = b.tensor("y", {1, 2, 1, 1});
  b.op(BuiltinOperator::TRANSPOSE, {x, order}, {turned});
  b.op(BuiltinOperator::CONV_2D, {turned, w}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::VALID));
  const Graph graph = read(b.finish({x}, {y}));
  CHECK(graph.values[graph.input].shape == Hwc{2, 1, 3});
  check_values(interpret(graph, counting(6)), {321, 654});
}

TEST_CASE("pools leave padding out") {
  for (const bool average : {false, true}) {
    CAPTURE(average);
    TfliteBuilder b;
    const int x = b.tensor("x", {1, 3, 3, 1});
    const int y = b.tensor("y", {1, 2, 2, 1});
    b.op(average ? BuiltinOperator::AVERAGE_POOL_2D : BuiltinOperator::MAX_POOL_2D, {x}, {y},
         OperatorOptions::Pool2DOptions, pool_options(b, Padding::SAME, 2, 2));
    const std::vector<float> expected =
        average ? std::vector<float>{3, 4.5F, 7.5F, 9} : std::vector<float>{5, 6, 8, 9};
    check_values(interpret(read(b.finish({x}, {y})), counting(9)), expected);
  }
}

TEST_CASE("MEAN over height and width, with and without their dimensions") {
  for (const bool keep : {false, true}) {
    CAPTURE(keep);
    TfliteBuilder b;
    const int x = b.tensor("x", {1, 2, 2, 2});
    const int axes = b.constant<std::int32_t>("axes", {2}, {1, -2});
    const int y = b.tensor("y", keep ? std::vector{1, 1, 1, 2} : std::vector{1, 2});
    b.op(BuiltinOperator::MEAN, {x, axes}, {y}, OperatorOptions::ReducerOptions,
         tflite::CreateReducerOptions(b.fbb(), keep).Union());
    check_values(interpret(read(b.finish({x}, {y})), counting(8)), {4, 5});
  }
}

TEST_CASE("activations") {
  const std::vector<int> shape{1, 1, 1, 4};
  const std::vector<float> x{-4, -0.5F, 2, 8};
  check_values(run_single(BuiltinOperator::RELU, shape, x), {0, 0, 2, 8});
  check_values(run_single(BuiltinOperator::RELU6, shape, x), {0, 0, 2, 6});
  check_values(run_single(BuiltinOperator::RELU_N1_TO_1, shape, x), {-1, -0.5F, 1, 1});
  check_values(run_single(BuiltinOperator::HARD_SWISH, shape, x),
               {0, -0.5F * 2.5F / 6, 2 * 5.0F / 6, 8});
  check_values(run_single(BuiltinOperator::LOGISTIC, shape, x),
               {1 / (1 + std::exp(4.0F)), 1 / (1 + std::exp(0.5F)), 1 / (1 + std::exp(-2.0F)),
                1 / (1 + std::exp(-8.0F))});
  check_values(run_single(BuiltinOperator::LEAKY_RELU, shape, x, OperatorOptions::LeakyReluOptions,
                          [](TfliteBuilder& b) {
                            return tflite::CreateLeakyReluOptions(b.fbb(), 0.25F).Union();
                          }),
               {-1, -0.125F, 2, 8});
}

TEST_CASE("SOFTMAX") {
  const auto options = [](TfliteBuilder& b) {
    return tflite::CreateSoftmaxOptions(b.fbb(), 1).Union();
  };
  check_values(run_single(BuiltinOperator::SOFTMAX, {1, 2}, {0, std::log(3.0F)},
                          OperatorOptions::SoftmaxOptions, options),
               {0.25F, 0.75F});
}

TEST_CASE("ADD and MUL with a constant: one number, or one a channel") {
  for (const bool add : {false, true}) {
    for (const std::vector<float>& constant : {std::vector<float>{10}, {10, 100}}) {
      CAPTURE(add);
      CAPTURE(constant.size());
      TfliteBuilder b;
      const int x = b.tensor("x", {1, 2, 1, 2});
      const int k = b.constant<float>("k", {static_cast<int>(constant.size())}, constant);
      const int y = b.tensor("y", {1, 2, 1, 2});
      b.op(add ? BuiltinOperator::ADD : BuiltinOperator::MUL, {k, x}, {y});
      const float second = constant.back();
      const std::vector<float> expected = add ? std::vector<float>{11, 2 + second, 13, 4 + second}
                                              : std::vector<float>{10, 2 * second, 30, 4 * second};
      check_values(interpret(read(b.finish({x}, {y})), counting(4)), expected);
    }
  }
}

TEST_CASE("MUL spreads a vector over the picture whichever operand it is") {
  for (const bool first : {false, true}) {
    CAPTURE(first);
    TfliteBuilder b;
    const int x = b.tensor("x", {1, 2, 1, 2});
    const int axes = b.constant<std::int32_t>("axes", {2}, {1, 2});
    const int mean = b.tensor("mean", {1, 1, 1, 2});
    const int y = b.tensor("y", {1, 2, 1, 2});
    b.op(BuiltinOperator::MEAN, {x, axes}, {mean}, OperatorOptions::ReducerOptions,
         tflite::CreateReducerOptions(b.fbb(), true).Union());
    b.op(BuiltinOperator::MUL, first ? std::vector{mean, x} : std::vector{x, mean}, {y});
    check_values(interpret(read(b.finish({x}, {y})), counting(4)), {2, 6, 6, 12});
  }
}

TEST_CASE("CONCATENATION of channels keeps the order of its inputs") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2, 1, 1});
  const int negative = b.tensor("negative", {1, 2, 1, 1});
  const int k = b.constant<float>("k", {}, {-1});
  const int y = b.tensor("y", {1, 2, 1, 2});
  b.op(BuiltinOperator::MUL, {x, k}, {negative});
  b.op(BuiltinOperator::CONCATENATION, {negative, x}, {y}, OperatorOptions::ConcatenationOptions,
       tflite::CreateConcatenationOptions(b.fbb(), -1).Union());
  check_values(interpret(read(b.finish({x}, {y})), counting(2)), {-1, 1, -2, 2});
}

TEST_CASE("PAD and PADV2") {
  for (const bool with_value : {false, true}) {
    CAPTURE(with_value);
    TfliteBuilder b;
    const int x = b.tensor("x", {1, 1, 1, 1});
    const int pairs = b.constant<std::int32_t>("pairs", {4, 2}, {0, 0, 1, 0, 0, 2, 0, 0});
    const int value = b.constant<float>("value", {1}, {7});
    const int y = b.tensor("y", {1, 2, 3, 1});
    b.op(with_value ? BuiltinOperator::PADV2 : BuiltinOperator::PAD,
         with_value ? std::vector{x, pairs, value} : std::vector{x, pairs}, {y});
    const float p = with_value ? 7 : 0;
    check_values(interpret(read(b.finish({x}, {y})), counting(1)), {p, p, p, 1, p, p});
  }
}

TEST_CASE("SQUEEZE and RESHAPE only rename") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 3});
  const int squeezed = b.tensor("squeezed", {1, 3});
  const int y = b.tensor("y", {1, 3, 1});
  const std::vector<int> dims{1, 2};
  b.op(BuiltinOperator::SQUEEZE, {x}, {squeezed}, OperatorOptions::SqueezeOptions,
       tflite::CreateSqueezeOptionsDirect(b.fbb(), &dims).Union());
  b.op(BuiltinOperator::RESHAPE, {squeezed}, {y});
  const Graph graph = read(b.finish({x}, {y}));
  CHECK(graph.nodes[0].kind == NodeKind::kMarker);
  check_values(interpret(graph, counting(3)), {1, 2, 3});
}

TEST_CASE("float16 weights behind DEQUANTIZE are constants") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2});
  // 1.5, -2, the smallest subnormal 2^-24, and 65504 in binary16.
  const int half = b.constant<std::uint16_t>("half", {2, 2}, {0x3e00, 0xc000, 0x0001, 0x7bff});
  const int w = b.tensor("w", {2, 2});
  const int y = b.tensor("y", {1, 2});
  b.op(BuiltinOperator::DEQUANTIZE, {half}, {w});
  b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, -1}, {y}, OperatorOptions::FullyConnectedOptions,
       fully_connected_options(b));
  const Graph graph = read(b.finish({x}, {y}));
  REQUIRE(graph.nodes.size() == 1);
  check_values(graph.nodes[0].kernel, {1.5F, -2.0F, 0x1p-24F, 65504.0F});
}

TEST_CASE("operator codes of files before schema 3a") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 2});
  const int y = b.tensor("y", {1, 1, 1, 2});
  b.op_by_number(19, 0, {x}, {y});  // RELU in the narrow field alone
  check_values(interpret(read(b.finish({x}, {y})), std::vector<float>{-1, 3}), {0, 3});
}

}  // namespace
}  // namespace cleave::test
