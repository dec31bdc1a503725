// SPDX-License-Identifier: Apache-2.0
//
// Quantized TFLite files: weights become f32, parameters stay known, outputs saturate where the
// numbers of the file do.
#include <doctest/doctest.h>

#include <limits>

#include "engine/importer/importer.h"
#include "tests/engine/importer/tflite_builder.h"
#include "tests/support/graph_interpreter.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Node;
using importer::NodeKind;
using importer::QuantizationParameters;
using tflite::Activation;
using tflite::BuiltinOperator;
using tflite::OperatorOptions;
using tflite::Padding;
using tflite::TensorType;

Graph read_quantized(const std::vector<std::byte>& file) {
  Result<Graph> graph = importer::read_tflite(file);
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(*graph);
}

// Two output channels of one input channel: weights q -> scale[channel] * q.
std::vector<std::byte> quantized_convolution(const TfliteQuantization& output,
                                             Activation activation = Activation::NONE,
                                             const TfliteQuantization& bias = {{0.05F, 0.025F},
                                                                               {0, 0}}) {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 1}, TensorType::INT8, {{0.1F}, {3}});
  const int w = b.constant<std::int8_t>("w", {2, 1, 1, 1}, {100, -100}, {{0.5F, 0.25F}, {0, 0}, 0});
  const int k = b.constant<std::int32_t>("k", {2}, {40, 1'000'001}, bias);
  const int y = b.tensor("y", {1, 1, 1, 2}, TensorType::INT8, output);
  b.op(BuiltinOperator::CONV_2D, {x, w, k}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::VALID, 1, activation));
  return b.finish({x}, {y});
}

TEST_CASE("per-channel int8 weights and int32 biases become f32 and stay known") {
  const Graph graph = read_quantized(quantized_convolution({{1000}, {0}}));
  REQUIRE(graph.nodes.size() == 1);
  const Node& node = graph.nodes[0];
  CHECK(node.kernel == std::vector<float>{50.0F, -25.0F});
  CHECK(node.bias[0] == doctest::Approx(2.0));
  CHECK(node.bias[1] == doctest::Approx(25000.025));
  CHECK(node.kernel_quantization.type == QuantizationParameters::Type::kS8);
  CHECK(node.kernel_quantization.scale == std::vector<float>{0.5F, 0.25F});
  CHECK(node.kernel_quantization.zero_point == std::vector<std::int32_t>{0, 0});
  CHECK(node.kernel_quantization.axis == 0);
  CHECK(node.bias_quantization.type == QuantizationParameters::Type::kS32);
  const QuantizationParameters& input = graph.values[graph.input].quantization;
  const QuantizationParameters& output = graph.values[graph.output].quantization;
  CHECK(output.scale == std::vector<float>{1000});
  CHECK(input.scale == std::vector<float>{0.1F});
  CHECK(input.zero_point == std::vector<std::int32_t>{3});
}

TEST_CASE("a scale holds for all weights of its channel") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2});
  const int w =
      b.constant<std::int8_t>("w", {3, 2}, {2, 4, 2, 4, 2, 4}, {{1, 0.5F, 0.25F}, {0, 0, 0}, 0});
  const int y = b.tensor("y", {1, 3});
  b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, -1}, {y}, OperatorOptions::FullyConnectedOptions,
       fully_connected_options(b));
  CHECK(read_quantized(b.finish({x}, {y})).nodes[0].kernel ==
        std::vector<float>{2, 4, 1, 2, 0.5F, 1});
}

TEST_CASE("a bias without a scale has input scale times kernel scale") {
  const Graph graph = read_quantized(quantized_convolution({{1000}, {0}}, Activation::NONE, {}));
  CHECK(graph.nodes[0].bias[0] == doctest::Approx(2.0));
  CHECK(graph.nodes[0].bias[1] == doctest::Approx(25000.025));
  CHECK(graph.nodes[0].bias_quantization.scale[1] == doctest::Approx(0.025));
}

TEST_CASE("depthwise kernels keep their scales along the output channels") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 2});
  const int w = b.constant<std::int8_t>("w", {1, 1, 1, 2}, {2, 2}, {{0.5F, 0.25F}, {0, 0}, 3});
  const int y = b.tensor("y", {1, 1, 1, 2});
  b.op(BuiltinOperator::DEPTHWISE_CONV_2D, {x, w}, {y}, OperatorOptions::DepthwiseConv2DOptions,
       depthwise_options(b, Padding::VALID));
  const Graph graph = read_quantized(b.finish({x}, {y}));
  CHECK(graph.nodes[0].kernel == std::vector<float>{1.0F, 0.5F});
  CHECK(graph.nodes[0].kernel_quantization.axis == 2);  // of height, width, output
}

TEST_CASE("per-tensor uint8 weights with a zero point") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2});
  const int w = b.constant<std::uint8_t>("w", {1, 2}, {0, 255}, {{0.5F}, {128}});
  const int y = b.tensor("y", {1, 1});
  b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, -1}, {y}, OperatorOptions::FullyConnectedOptions,
       fully_connected_options(b));
  const Graph graph = read_quantized(b.finish({x}, {y}));
  CHECK(graph.nodes[0].kernel == std::vector<float>{-64.0F, 63.5F});
  CHECK(graph.nodes[0].kernel_quantization.type == QuantizationParameters::Type::kU8);
  CHECK(graph.nodes[0].kernel_quantization.axis == -1);
}

TEST_CASE("a ReLU6 that only the output's range implies is a node of its own") {
  const Graph graph = read_quantized(quantized_convolution({{6.0F / 255}, {-128}}));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[1].kind == NodeKind::kClamp);
  CHECK(graph.nodes[1].source_type == "RELU6");
  CHECK(graph.nodes[1].clamp_min == 0);
  CHECK(graph.nodes[1].clamp_max == doctest::Approx(6));
}

TEST_CASE("a range from 0 to anything else implies a ReLU that saturates") {
  const Graph graph = read_quantized(quantized_convolution({{0.1F}, {-128}}));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[1].source_type == "RELU");
  CHECK(graph.nodes[1].clamp_min == 0);
  CHECK(graph.nodes[1].clamp_max == doctest::Approx(25.5));
}

TEST_CASE("an output that int8 cannot hold saturates in the operator") {
  const Graph graph = read_quantized(quantized_convolution({{0.5F}, {-28}}));
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].clamp_min == doctest::Approx(-50));
  CHECK(graph.nodes[0].clamp_max == doctest::Approx(77.5));
  const std::vector<float> scores = interpret(graph, std::vector<float>{10});
  CHECK(scores[0] == doctest::Approx(77.5));  // 502 without
}

TEST_CASE("a fused activation holds within the range") {
  const Graph graph = read_quantized(quantized_convolution({{0.01F}, {0}}, Activation::RELU6));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[1].clamp_min == 0);
  CHECK(graph.nodes[1].clamp_max == doctest::Approx(1.27));
}

TEST_CASE("f32 outputs do not saturate") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1, 1, 1});
  const int w = b.constant<std::int8_t>("w", {1, 1, 1, 1}, {100}, {{0.5F}, {0}});
  const int y = b.tensor("y", {1, 1, 1, 1});
  b.op(BuiltinOperator::CONV_2D, {x, w}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::VALID));
  CHECK_FALSE(read_quantized(b.finish({x}, {y})).nodes[0].has_clamp());
}

std::vector<std::byte> quantized_input(TensorType type, const TfliteQuantization& quantization) {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2, 2, 3}, type, quantization);
  const int y = b.tensor("y", {1, 2, 2, 3}, TensorType::INT8, {{1}, {0}});
  b.op(BuiltinOperator::QUANTIZE, {x}, {y});
  return b.finish({x}, {y});
}

TEST_CASE("a quantized u8 input says the preprocessing") {
  const Graph graph = read_quantized(quantized_input(TensorType::UINT8, {{1 / 127.5F}, {127}}));
  CHECK(graph.preprocessing.mean == std::vector<float>(3, 127.0F));
  REQUIRE(graph.preprocessing.deviation.size() == 3);
  CHECK(graph.preprocessing.deviation[0] == doctest::Approx(127.5));
}

TEST_CASE("other inputs leave the preprocessing open") {
  CHECK(read_quantized(quantized_input(TensorType::INT8, {{0.02F}, {-14}}))
            .preprocessing.mean.empty());
  CHECK(read_quantized(quantized_input(TensorType::FLOAT32, {})).preprocessing.mean.empty());
}

}  // namespace
}  // namespace cleave::test
