// SPDX-License-Identifier: Apache-2.0
//
// Small TF.js layers models must compute what Keras says: expected values are worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/importer/importer.h"
#include "tests/engine/importer/tfjs_builder.h"
#include "tests/support/float_values.h"
#include "tests/support/graph_interpreter.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::GraphPreprocessing;
using importer::Hwc;
using importer::NodeKind;

Graph read(const std::string& path) {
  Result<Graph> graph = importer::read_tfjs(path);
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(*graph);
}

// A Sequential of an input and `layers`.
json chain(const json& batch_shape, std::vector<json> layers) {
  layers.insert(layers.begin(), keras_input("in", batch_shape));
  return keras_sequential("model", layers);
}

// What one layer without weights makes of `input`.
std::vector<float> run_layer(const json& batch_shape, const json& one,
                             const std::vector<float>& input) {
  const TfjsBuilder b;
  return interpret(read(b.write_model(chain(batch_shape, {one}))), input);
}

TEST_CASE("Conv2D: kernels of height, width, input, output; activation as a node of its own") {
  TfjsBuilder b;
  b.weight("c/kernel", {1, 1, 2, 2}, {1, -1, 10, -10});
  b.weight("c/bias", {2}, {0.5F, 0});
  const json conv =
      keras_layer("Conv2D", "c", {{"filters", 2}, {"kernel_size", {1, 1}}, {"activation", "relu"}});
  const Graph graph = read(b.write_model(chain({nullptr, 1, 2, 2}, {conv})));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[0].name == "c");
  CHECK(graph.nodes[0].source_type == "Conv2D");
  CHECK(graph.nodes[1].kind == NodeKind::kClamp);
  check_values(interpret(graph, counting(4)), {21.5F, 0, 43.5F, 0});
}

TEST_CASE("Conv2D: same padding puts the odd row of zeros at the bottom right") {
  TfjsBuilder b;
  b.weight("c/kernel", {3, 3, 1, 1}, std::vector<float>(9, 1.0F));
  const json conv = keras_layer("Conv2D", "c",
                                {{"filters", 1},
                                 {"kernel_size", 3},
                                 {"strides", 2},
                                 {"padding", "same"},
                                 {"use_bias", false}});
  check_values(interpret(read(b.write_model(chain({nullptr, 4, 4, 1}, {conv}))), counting(16)),
               {54, 45, 72, 54});
}

TEST_CASE("DepthwiseConv2D: output channel c * multiplier + j") {
  TfjsBuilder b;
  b.weight("d/depthwise_kernel", {1, 1, 2, 2}, {1, 10, 100, 1000});
  b.weight("d/bias", {4}, {0, 0, 0, 1});
  const json depthwise =
      keras_layer("DepthwiseConv2D", "d", {{"kernel_size", {1, 1}}, {"depth_multiplier", 2}});
  check_values(interpret(read(b.write_model(chain({nullptr, 1, 1, 2}, {depthwise}))), counting(2)),
               {1, 10, 200, 2001});
}

TEST_CASE("SeparableConv2D is a depthwise and a pointwise convolution") {
  TfjsBuilder b;
  b.weight("s/depthwise_kernel", {1, 1, 2, 1}, {1, 10});
  b.weight("s/pointwise_kernel", {1, 1, 2, 1}, {1, 100});
  b.weight("s/bias", {1}, {0.25F});
  const json separable = keras_layer("SeparableConv2D", "s", {{"filters", 1}, {"kernel_size", 1}});
  const Graph graph = read(b.write_model(chain({nullptr, 1, 1, 2}, {separable})));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[0].kind == NodeKind::kDepthwiseConv2D);
  check_values(interpret(graph, counting(2)), {2001.25F});
}

TEST_CASE("BatchNormalization") {
  TfjsBuilder b;
  b.weight("n/gamma", {2}, {2, 3});
  b.weight("n/beta", {2}, {1, 0});
  b.weight("n/moving_mean", {2}, {1, 2});
  b.weight("n/moving_variance", {2}, {3.75F, 0.75F});
  const json norm = keras_layer("BatchNormalization", "n", {{"epsilon", 0.25}, {"axis", {3}}});
  check_values(
      interpret(read(b.write_model(chain({nullptr, 1, 1, 2}, {norm}))), std::vector<float>{5, 4}),
      {5, 6});  // 2 * 4 / 2 + 1, 3 * 2 / 1
}

TEST_CASE("BatchNormalization without scale and center") {
  TfjsBuilder b;
  b.weight("n/moving_mean", {1}, {1});
  b.weight("n/moving_variance", {1}, {4});
  const json norm =
      keras_layer("BatchNormalization", "n",
                  {{"epsilon", 0}, {"scale", false}, {"center", false}, {"axis", -1}});
  check_values(
      interpret(read(b.write_model(chain({nullptr, 1, 1, 1}, {norm}))), std::vector<float>{5}),
      {2});
}

TEST_CASE("Dense after Flatten, on a vector, and on every pixel") {
  TfjsBuilder b;
  b.weight("d/kernel", {4, 1}, {1, 10, 100, 1000});
  b.weight("d/bias", {1}, {0.5F});
  const std::vector<json> layers{keras_layer("Flatten", "f"),
                                 keras_layer("Dense", "d", {{"units", 1}})};
  check_values(interpret(read(b.write_model(chain({nullptr, 1, 2, 2}, layers))), counting(4)),
               {4321.5F});
  check_values(interpret(read(b.write_model(chain({nullptr, 4}, {layers[1]}))), counting(4)),
               {4321.5F});
  check_values(interpret(read(b.write_model(chain({nullptr, 2, 1, 4}, {layers[1]}))), counting(8)),
               {4321.5F, 8765.5F});
}

TEST_CASE("ReLU and its limits") {
  const json shape{nullptr, 4};
  const std::vector<float> x{-4, -0.5F, 2, 8};
  check_values(run_layer(shape, keras_layer("ReLU", "r"), x), {0, 0, 2, 8});
  check_values(run_layer(shape, keras_layer("ReLU", "r", {{"max_value", 6}}), x), {0, 0, 2, 6});
  check_values(run_layer(shape, keras_layer("ReLU", "r", {{"max_value", nullptr}}), x),
               {0, 0, 2, 8});
  check_values(run_layer(shape, keras_layer("ReLU", "r", {{"negative_slope", 0.5}}), x),
               {-2, -0.25F, 2, 8});
  check_values(
      run_layer(shape, keras_layer("ReLU", "r", {{"negative_slope", 0.5}, {"max_value", 6.0}}), x),
      {-2, -0.25F, 2, 6});
}

TEST_CASE("Activation and Softmax") {
  const json shape{nullptr, 2};
  const std::vector<float> x{0, std::log(3.0F)};
  const auto activation = [](const char* name) {
    return keras_layer("Activation", "a", {{"activation", name}});
  };
  check_values(run_layer(shape, activation("softmax"), x), {0.25F, 0.75F});
  check_values(run_layer(shape, keras_layer("Softmax", "s", {{"axis", -1}}), x), {0.25F, 0.75F});
  check_values(run_layer(shape, activation("sigmoid"), x), {0.5F, 0.75F});
  check_values(run_layer(shape, activation("relu6"), {-1, 9}), {0, 6});
  check_values(run_layer(shape, activation("relu"), {-1, 9}), {0, 9});
  check_values(run_layer(shape, activation("linear"), {-1, 9}), {-1, 9});
}

TEST_CASE("pooling: strides default to the window, padding is left out") {
  const json shape{nullptr, 3, 3, 1};
  const auto x = counting(9);
  check_values(run_layer(shape, keras_layer("MaxPooling2D", "p"), x), {5});
  check_values(run_layer(shape, keras_layer("MaxPooling2D", "p", {{"strides", {1, 1}}}), x),
               {5, 6, 8, 9});
  check_values(run_layer(shape, keras_layer("AveragePooling2D", "p", {{"padding", "same"}}), x),
               {3, 4.5F, 7.5F, 9});
  check_values(run_layer(shape, keras_layer("GlobalAveragePooling2D", "p"), x), {5});
}

TEST_CASE("ZeroPadding2D: top, bottom, left, right") {
  const json padding = {{1, 0}, {0, 2}};
  check_values(
      run_layer({nullptr, 1, 1, 1}, keras_layer("ZeroPadding2D", "z", {{"padding", padding}}), {7}),
      {0, 0, 0, 7, 0, 0});
  check_values(
      run_layer({nullptr, 1, 1, 1}, keras_layer("ZeroPadding2D", "z", {{"padding", {1, 0}}}), {7}),
      {0, 7, 0});
}

TEST_CASE("Reshape and Dropout only rename") {
  const TfjsBuilder b;
  const Graph graph = read(
      b.write_model(chain({nullptr, 3}, {keras_layer("Reshape", "r", {{"target_shape", {1, 1, 3}}}),
                                         keras_layer("Dropout", "d")})));
  CHECK(graph.nodes[0].kind == NodeKind::kMarker);
  CHECK(graph.nodes[1].kind == NodeKind::kMarker);
  check_values(interpret(graph, counting(3)), {1, 2, 3});
}

TEST_CASE("a Functional model: branches, in any order of layers") {
  TfjsBuilder b;
  b.weight("ten/kernel", {1, 1, 1, 1}, {10});
  const json one =
      keras_layer("Conv2D", "ten", {{"filters", 1}, {"kernel_size", 1}, {"use_bias", false}});
  const json model = keras_functional(
      "net",
      {keras_call(keras_layer("Concatenate", "join", {{"axis", -1}}), {"sum", "in"}),
       keras_call(keras_layer("Add", "sum"), {"ten_out", "in", "ten_out"}),
       keras_call(keras_layer("Activation", "ten_out", {{"activation", "linear"}}), {"ten"}),
       keras_call(one, {"in"}), keras_input("in", {nullptr, 1, 2, 1})},
      "in", "join");
  check_values(interpret(read(b.write_model(model)), counting(2)), {21, 1, 42, 2});
}

TEST_CASE("a layer that is called twice has one weight and two nodes") {
  TfjsBuilder b;
  b.weight("ten/kernel", {1, 1, 1, 1}, {10});
  json ten = keras_call(
      keras_layer("Conv2D", "ten", {{"filters", 1}, {"kernel_size", 1}, {"use_bias", false}}),
      {"in"});
  ten["inbound_nodes"].push_back(json::array({json::array({"ten", 0, 0, json::object()})}));
  json model = keras_functional("net", {keras_input("in", {nullptr, 1, 1, 1}), ten}, "in", "ten");
  model["config"]["output_layers"] = json::array({json::array({"ten", 1, 0})});
  check_values(interpret(read(b.write_model(model)), std::vector<float>{3}), {300});
}

// Sequential of [Sequential of (Functional, pooling)] and [Sequential of two Dense].
json teachable_machine() {
  const json truncated = keras_functional(
      "backbone",
      {keras_input("image", {nullptr, 2, 2, 3}),
       keras_call(keras_layer("Conv2D", "conv",
                              {{"filters", 2}, {"kernel_size", {1, 1}}, {"use_bias", false}}),
                  {"image"})},
      "image", "conv");
  const json features =
      keras_sequential("features", {truncated, keras_layer("GlobalAveragePooling2D", "pool")});
  const json head = keras_sequential(
      "head", {keras_layer("Dense", "dense_1", {{"units", 2}, {"activation", "relu"}}),
               keras_layer("Dense", "dense_2",
                           {{"units", 2}, {"use_bias", false}, {"activation", "softmax"}})});
  return keras_sequential("teachable", {features, head});
}

void add_teachable_machine_weights(TfjsBuilder& b) {
  b.weight("conv/kernel", {1, 1, 3, 2}, {1, 0, 1, 0, 0, 1});
  b.weight("dense_1/kernel", {2, 2}, {1, 0, 0, 1});
  b.weight("dense_1/bias", {2}, {0, -100});
  b.weight("dense_2/kernel", {2, 2}, {0, 1, 0, 0});
}

TEST_CASE("models inside models, as Teachable Machine saves them") {
  TfjsBuilder b;
  add_teachable_machine_weights(b);
  const Graph graph = read(b.write_model(teachable_machine()));
  CHECK(graph.values[graph.input].shape == Hwc{2, 2, 3});
  CHECK(graph.preprocessing.mean.empty());
  // Every pixel (a, a, c): mean of a + a is 1 -> relu -> softmax of (0, 1).
  std::vector<float> image;
  for (int i = 0; i < 4; ++i) image.insert(image.end(), {0.5F, 0.5F, 3.0F});
  const float e = std::exp(1.0F);
  check_values(interpret(graph, image), {1 / (1 + e), e / (1 + e)});
}

TEST_CASE("Teachable Machine's metadata gives labels and preprocessing") {
  TfjsBuilder b;
  add_teachable_machine_weights(b);
  b.write_beside("metadata.json",
                 R"({"packageName": "@teachablemachine/image", "labels": ["cat", "dog"]})");
  const Graph graph = read(b.write_model(teachable_machine()));
  CHECK(graph.labels == std::vector<std::string>{"cat", "dog"});
  CHECK(graph.preprocessing.mean == std::vector<float>(3, 127.5F));
  CHECK(graph.preprocessing.deviation == std::vector<float>(3, 127.5F));
  CHECK(graph.preprocessing.crop == GraphPreprocessing::Crop::kCenterSquare);
}

TEST_CASE("a nested model's first call is its second node") {
  TfjsBuilder b;
  b.weight("ten/kernel", {1, 1, 1, 1}, {10});
  const json inner = keras_functional(
      "inner",
      {keras_input("x", {nullptr, 1, 1, 1}),
       keras_call(
           keras_layer("Conv2D", "ten", {{"filters", 1}, {"kernel_size", 1}, {"use_bias", false}}),
           {"x"})},
      "x", "ten");
  json outer = keras_functional(
      "outer", {keras_input("in", {nullptr, 1, 1, 1}), keras_call(inner, {"in"})}, "in", "inner");
  for (const int node : {0, 1}) {  // writers differ; both can only mean the one call
    CAPTURE(node);
    outer["config"]["output_layers"] = json::array({json::array({"inner", node, 0})});
    check_values(interpret(read(b.write_model(outer)), std::vector<float>{3}), {30});
  }
}

TEST_CASE("weights packed to float16, uint8 and uint16") {
  TfjsBuilder b;
  b.packed_weight("a/kernel", {2, 1}, "float16", {0x00, 0x3e, 0x00, 0xc0});  // 1.5, -2
  b.packed_weight("a/bias", {1}, "uint8", {3}, 0.5, -1);                     // 0.5
  b.packed_weight("b/kernel", {1, 1}, "uint16", {0x01, 0x02}, 0.25, -128);   // 513 * 0.25 - 128
  const json model =
      chain({nullptr, 2}, {keras_layer("Dense", "a", {{"units", 1}}),
                           keras_layer("Dense", "b", {{"units", 1}, {"use_bias", false}})});
  const Graph graph = read(b.write_model(model));
  CHECK(graph.nodes[0].kernel == std::vector<float>{1.5F, -2});
  CHECK(graph.nodes[0].bias == std::vector<float>{0.5F});
  CHECK(graph.nodes[1].kernel == std::vector<float>{0.25F});
}

TEST_CASE("weights whose names carry the model's name or :0") {
  TfjsBuilder b;
  b.weight("model/d/kernel:0", {1, 1}, {2});
  b.weight("d/bias:0", {1}, {1});
  check_values(
      interpret(
          read(b.write_model(chain({nullptr, 1}, {keras_layer("Dense", "d", {{"units", 1}})}))),
          std::vector<float>{3}),
      {7});
}

TEST_CASE("a Sequential without an input layer, its layers as a bare list") {
  TfjsBuilder b;
  b.weight("d/kernel", {2, 1}, {1, 10});
  const json dense = keras_layer(
      "Dense", "d", {{"units", 1}, {"use_bias", false}, {"batch_input_shape", {nullptr, 2}}});
  const json model{{"class_name", "Sequential"}, {"config", json::array({dense})}};
  check_values(interpret(read(b.write_model(model)), counting(2)), {21});
}

}  // namespace
}  // namespace cleave::test
