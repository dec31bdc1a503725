// SPDX-License-Identifier: Apache-2.0
//
// What the ONNX reader makes of a model's frame: inputs, outputs, batch, layouts, and what it says
// when it cannot import something. Arithmetic is compared with ONNX Runtime in tests/engine.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/importer/importer.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_writer.h"

namespace cleave::importer {
namespace {

using test::add_initializer;
using test::add_input;
using test::add_int_initializer;
using test::add_output;

onnx::NodeProto& add_node(onnx::ModelProto& model, const std::string& type,
                          const std::vector<std::string>& inputs, const std::string& output) {
  onnx::NodeProto& node = *model.mutable_graph()->add_node();
  node.set_op_type(type);
  node.set_name(output + "_node");
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

// x -> Relu -> y
onnx::ModelProto relu_model(const std::vector<std::int64_t>& dims) {
  onnx::ModelProto model = test::empty_model(13);
  add_input(*model.mutable_graph(), "x", dims);
  add_node(model, "Relu", {"x"}, "y");
  add_output(*model.mutable_graph(), "y");
  return model;
}

Result<Graph> read(const onnx::ModelProto& model) { return read_onnx(test::to_bytes(model)); }

void check_error(const onnx::ModelProto& model, StatusCode code, const std::string& part) {
  const Status status = read(model).status();
  CHECK(status.code() == code);
  CHECK_MESSAGE(status.message().find(part) != std::string::npos, status.message());
}

TEST_CASE("the batch may be one, fixed or named") {
  onnx::ModelProto model = relu_model({1, 3, 4, 5});
  auto* batch = model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
  for (const std::int64_t extent : {1, 8, 0}) {
    onnx::TensorShapeProto::Dimension* dim = batch->mutable_shape()->mutable_dim(0);
    dim->Clear();
    if (extent > 0) dim->set_dim_value(extent);
    if (extent == 0) dim->set_dim_param("N");
    const Result<Graph> graph = read(model);
    REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
    CHECK(graph->values[graph->input].shape == Hwc{4, 5, 3});
    CHECK(graph->source_format == "onnx");
  }
}

TEST_CASE("a reshape that names the fixed batch keeps each picture whole") {
  onnx::ModelProto model = test::empty_model(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_input(graph, "x", {8, 2, 3, 1});
  add_int_initializer(graph, "target", {8, 6});
  add_node(model, "Reshape", {"x", "target"}, "flat");
  add_initializer(graph, "w", {6, 1}, {1, 10, 100, 1000, 10000, 100000});
  add_node(model, "MatMul", {"flat", "w"}, "y");
  add_output(graph, "y");
  const Result<Graph> imported = read(model);
  REQUIRE_MESSAGE(imported.is_ok(), imported.status().message());
  // Height, width, channel order in; the source counts channel by channel.
  const std::vector<float> scores =
      test::interpret(*imported, std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(scores == std::vector<float>{654321});
}

TEST_CASE("names, weights listed as inputs and unused nodes") {
  onnx::ModelProto model = test::empty_model(9);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_input(graph, "image", {1, 2, 2, 2});
  add_input(graph, "k", {3, 2, 1, 1});
  add_initializer(graph, "k", {3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
  add_node(model, "Conv", {"image", "k"}, "features");
  add_node(model, "Loop", {"image"}, "unused");
  add_output(graph, "features");
  const Result<Graph> imported = read(model);
  REQUIRE_MESSAGE(imported.is_ok(), imported.status().message());
  REQUIRE(imported->nodes.size() == 1);
  CHECK(imported->nodes[0].name == "features_node");
  CHECK(imported->nodes[0].source_type == "Conv");
  CHECK(imported->values[imported->output].name == "features");
  CHECK(imported->nodes[0].kernel == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("weights are read from every way of storing them") {
  onnx::ModelProto model = test::empty_model(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_input(graph, "x", {1, 2});
  add_initializer(graph, "w", {2, 2}, {0, 0, 0, 0});
  add_node(model, "MatMul", {"x", "w"}, "y");
  add_output(graph, "y");
  onnx::TensorProto& w = *graph.mutable_initializer(0);
  const auto kernel = [&] {
    const Result<Graph> imported = read(model);
    REQUIRE_MESSAGE(imported.is_ok(), imported.status().message());
    return imported->nodes[0].kernel;
  };
  const std::vector<float> expected{1.5f, -0.25f, 2, 65504};  // [output][input]
  w.clear_raw_data();
  for (const float x : {1.5f, 2.0f, -0.25f, 65504.0f}) w.add_float_data(x);
  CHECK(kernel() == expected);
  w.clear_float_data();
  w.set_data_type(onnx::TensorProto::DOUBLE);
  for (const double x : {1.5, 2.0, -0.25, 65504.0}) w.add_double_data(x);
  CHECK(kernel() == expected);
  w.clear_double_data();
  w.set_data_type(onnx::TensorProto::FLOAT16);
  for (const int x : {0x3e00, 0x4000, 0xb400, 0x7bff}) w.add_int32_data(x);
  CHECK(kernel() == expected);
  w.clear_int32_data();
  const std::uint16_t halves[] = {0x3e00, 0x4000, 0xb400, 0x7bff};
  w.set_raw_data(halves, sizeof(halves));
  CHECK(kernel() == expected);
}

// x -> Reshape -> Transpose -> Reshape -> y, with these targets.
onnx::ModelProto shuffle_model(const std::vector<std::int64_t>& split,
                               const std::vector<std::int64_t>& permutation,
                               const std::vector<std::int64_t>& joined) {
  onnx::ModelProto model = test::empty_model(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_input(graph, "x", {1, 6, 2, 3});
  add_int_initializer(graph, "split", split);
  add_int_initializer(graph, "joined", joined);
  add_node(model, "Reshape", {"x", "split"}, "a");
  test::set_ints(add_node(model, "Transpose", {"a"}, "b"), "perm", permutation);
  add_node(model, "Reshape", {"b", "joined"}, "y");
  add_output(graph, "y");
  return model;
}

TEST_CASE("channels that are split, turned and joined are selected in their new order") {
  const Result<Graph> graph = read(shuffle_model({1, 2, 3, 2, 3}, {0, 2, 1, 3, 4}, {1, 6, 2, 3}));
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  CHECK(graph->nodes.back().kind == NodeKind::kSelectChannels);
  CHECK(graph->nodes.back().channels == std::vector<std::uint32_t>{0, 3, 1, 4, 2, 5});
  const Result<Graph> same = read(shuffle_model({1, 2, 3, 2, 3}, {0, 1, 2, 3, 4}, {1, 6, 2, 3}));
  REQUIRE_MESSAGE(same.is_ok(), same.status().message());
  CHECK(same->nodes.back().kind == NodeKind::kMarker);
}

TEST_CASE("what is no shuffle of whole channels is refused, by the node that cannot be") {
  // An axis cut across, rows between the halves, channels left apart at the end, height split.
  check_error(shuffle_model({1, 2, 3, 2, 3}, {0, 2, 1, 3, 4}, {1, 4, 3, 1, 3}),
              StatusCode::kUnsupported,
              "\"y_node\" (Reshape): reshape to [1,4,3,1,3] splits an axis");
  check_error(shuffle_model({1, 2, 3, 2, 3}, {0, 2, 3, 1, 4}, {1, 6, 2, 3}),
              StatusCode::kUnsupported, "the output splits the channels");
  check_error(shuffle_model({1, 2, 3, 2, 3}, {0, 2, 1, 3, 4}, {1, 3, 2, 2, 3}),
              StatusCode::kUnsupported, "the output splits the channels");
  check_error(shuffle_model({1, 3, 2, 3, 2}, {0, 1, 2, 3, 4}, {1, 6, 2, 3}),
              StatusCode::kUnsupported, "\"a_node\" (Reshape)");
  onnx::ModelProto model = shuffle_model({1, 2, 3, 2, 3}, {0, 2, 1, 3, 4}, {1, 6, 2, 3});
  add_node(model, "GlobalAveragePool", {"a"}, "z");  // of a tensor whose channels are apart
  model.mutable_graph()->mutable_output(0)->set_name("z");
  check_error(model, StatusCode::kUnsupported, "\"z_node\" (GlobalAveragePool)");
}

TEST_CASE("every node that cannot be imported is listed at once") {
  onnx::ModelProto model = test::empty_model(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  add_input(graph, "x", {1, 3, 8, 8});
  add_node(model, "Relu", {"x"}, "a");
  add_node(model, "Erf", {"a"}, "b");
  add_node(model, "Relu", {"b"}, "c");  // only blocked: not listed
  add_node(model, "Transpose", {"a"}, "d");
  add_node(model, "Softmax", {"a"}, "e");  // over the width
  onnx::NodeProto& foreign = add_node(model, "FusedConv", {"c"}, "f");
  foreign.set_domain("com.microsoft");
  onnx::NodeProto& joined = add_node(model, "Concat", {"d", "e", "f"}, "y");
  test::set_int(joined, "axis", 1);
  add_output(graph, "y");
  const Status status = read(model).status();
  CHECK(status.code() == StatusCode::kUnsupported);
  const std::string& line = status.message();
  INFO(line);
  CHECK(line.find("3 nodes cannot be imported") != std::string::npos);
  CHECK(line.find("\"b_node\" (Erf)") != std::string::npos);
  CHECK(line.find("\"e_node\" (Softmax)") != std::string::npos);
  CHECK(line.find("\"f_node\" (com.microsoft.FusedConv)") != std::string::npos);
  CHECK(line.find("c_node") == std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("models outside what is read say what to do") {
  onnx::ModelProto model = relu_model({1, 3, 4, 5});
  model.mutable_opset_import(0)->set_version(18);
  check_error(model, StatusCode::kUnsupported, "opset 18; opsets 7 to 17 are imported");
  model.mutable_opset_import(0)->set_version(6);
  check_error(model, StatusCode::kUnsupported, "opset 6");
  check_error(relu_model({1, 3, 0, 5}), StatusCode::kUnsupported, "fixed picture size");
  check_error(relu_model({1, 3, 5}), StatusCode::kUnsupported, "3 dimensions");

  model = relu_model({1, 3, 4, 5});
  add_input(*model.mutable_graph(), "z", {1, 3, 4, 5});
  check_error(model, StatusCode::kUnsupported, "several inputs (\"x\", \"z\")");

  model = relu_model({1, 3, 4, 5});
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::FLOAT16);
  check_error(model, StatusCode::kUnsupported, "not of 32-bit floats");

  model = relu_model({1, 3, 4, 5});
  add_node(model, "Flatten", {"y"}, "flat");
  model.mutable_graph()->mutable_output(0)->set_name("flat");
  check_error(model, StatusCode::kUnsupported, "channel by channel");
}

TEST_CASE("weights in another file are refused with what to do") {
  onnx::ModelProto model = test::empty_model(13);
  add_input(*model.mutable_graph(), "x", {1, 2});
  add_initializer(*model.mutable_graph(), "w", {2, 2}, {});
  model.mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL);
  add_node(model, "MatMul", {"x", "w"}, "y");
  add_output(*model.mutable_graph(), "y");
  check_error(model, StatusCode::kUnsupported, "stored in another file");
}

}  // namespace
}  // namespace cleave::importer
