// SPDX-License-Identifier: Apache-2.0
//
// ONNX files that are wrong, or meant to harm: each is a clean error, and none makes the reader
// allocate out of proportion.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/importer/importer.h"
#include "engine/importer/onnx_tensors.h"
#include "schemas/text_check.h"
#include "tests/support/onnx_writer.h"

namespace cleave::importer {
namespace {

using test::add_initializer;
using test::add_input;
using test::add_int_initializer;
using test::add_output;

// A model x -> ... -> y whose nodes the test adds.
class Hostile {
 public:
  explicit Hostile(const std::vector<std::int64_t>& input = {1, 3, 8, 8}, int opset = 13)
      : model_(test::empty_model(opset)) {
    add_input(graph(), "x", input);
    add_output(graph(), "y");
  }

  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  onnx::NodeProto& node(const std::string& type, const std::vector<std::string>& inputs,
                        const std::string& output) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(type);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  // The error that reading gives; fails the test when there is none.
  StatusCode code() {
    const Status status = read_onnx(test::to_bytes(model_)).status();
    CHECK_FALSE(status.is_ok());
    CHECK(status.code() != StatusCode::kInternal);
    CHECK_MESSAGE(check_text(status.message(), 1 << 16).is_ok(), status.message());
    return status.code();
  }

  onnx::ModelProto& model() { return model_; }

 private:
  onnx::ModelProto model_;
};

constexpr StatusCode kCorrupt = StatusCode::kCorrupt, kUnsupported = StatusCode::kUnsupported;

TEST_CASE("bytes that are not an ONNX model") {
  const auto read_text = [](const std::string& text) {
    return read_onnx(std::as_bytes(std::span(text))).status().code();
  };
  CHECK(read_text("") == kCorrupt);
  CHECK(read_text("TFL3 or anything else") == kCorrupt);
  CHECK(read_text(std::string(1000, '\xff')) == kCorrupt);
}

TEST_CASE("every truncation of a model is an error") {
  Hostile h;
  add_initializer(h.graph(), "w", {2, 3, 1, 1}, {1, 2, 3, 4, 5, 6});
  h.node("Conv", {"x", "w"}, "y");
  const std::vector<std::byte> bytes = test::to_bytes(h.model());
  REQUIRE(read_onnx(bytes).is_ok());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Status status = read_onnx(std::span(bytes).first(size)).status();
    // What is cut off may be an optional field at the end; then the rest must still be a model.
    if (!status.is_ok()) CHECK(status.code() != StatusCode::kInternal);
  }
}

TEST_CASE("every flipped byte gives a network or an error") {
  Hostile h;
  add_initializer(h.graph(), "w", {2, 3, 3, 3}, std::vector<float>(54, 0.5f));
  test::set_ints(h.node("Conv", {"x", "w"}, "c"), "pads", {1, 1, 1, 1});
  h.node("Relu", {"c"}, "y");
  const std::vector<std::byte> bytes = test::to_bytes(h.model());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
      std::vector<std::byte> changed = bytes;
      changed[i] ^= static_cast<std::byte>(flip);
      const Result<Graph> graph = read_onnx(changed);
      if (graph.is_ok()) CHECK(validate(*graph).is_ok());
    }
  }
}

TEST_CASE("graphs that are not graphs") {
  {
    Hostile h;
    h.node("Relu", {"nowhere"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // a cycle
    h.node("Add", {"x", "b"}, "a");
    h.node("Relu", {"a"}, "b");
    h.node("Relu", {"b"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // reads itself
    h.node("Relu", {"y"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // written twice
    h.node("Relu", {"x"}, "y");
    h.node("Sigmoid", {"x"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // overwrites its input
    h.node("Relu", {"x"}, "x");
    h.node("Relu", {"x"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // two initializers of one name
    add_initializer(h.graph(), "w", {1}, {1});
    add_initializer(h.graph(), "w", {1}, {2});
    h.node("Relu", {"x"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // no inputs at all
    h.node("Conv", {}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // the output is a constant
    add_initializer(h.graph(), "w", {1, 1}, {1});
    h.node("Identity", {"w"}, "y");
    CHECK(h.code() == kUnsupported);
  }
  {
    Hostile h;  // nothing writes the output
    h.node("Relu", {"x"}, "z");
    CHECK(h.code() == kCorrupt);
  }
}

TEST_CASE("extents that are negative, huge or overflow") {
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{1, 3, -8, 8},
                                              {1, 3, INT64_MAX, 8},
                                              {1, 1 << 20, 1 << 20, 1 << 20},
                                              {1, 3, 8, INT64_MIN}}) {
    Hostile h(dims);
    h.node("Relu", {"x"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  for (const std::vector<std::int64_t>& dims : std::vector<std::vector<std::int64_t>>{
           {2, 3, -1, 1}, {2, 3, INT64_MAX, INT64_MAX}, {2, 3, 2, 1}, {0, 3, 1, 1}, {2, 3, 0, 1}}) {
    Hostile h;
    add_initializer(h.graph(), "w", dims, std::vector<float>(6, 1.0f));
    h.node("Conv", {"x", "w"}, "y");
    CHECK(h.code() == kCorrupt);
  }
}

TEST_CASE("windows out of range") {
  const auto pool_code = [](const char* name, const std::vector<std::int64_t>& values) {
    Hostile h;
    onnx::NodeProto& pool = h.node("MaxPool", {"x"}, "y");
    if (std::strcmp(name, "kernel_shape") != 0) test::set_ints(pool, "kernel_shape", {2, 2});
    test::set_ints(pool, name, values);
    return h.code();
  };
  CHECK(pool_code("kernel_shape", {0, 2}) == kCorrupt);
  CHECK(pool_code("kernel_shape", {9, 9}) == kCorrupt);
  CHECK(pool_code("kernel_shape", {2}) == kUnsupported);
  CHECK(pool_code("kernel_shape", {INT64_MAX, 2}) == kCorrupt);
  CHECK(pool_code("strides", {0, 1}) == kCorrupt);
  CHECK(pool_code("strides", {-1, 1}) == kUnsupported);
  CHECK(pool_code("dilations", {INT64_MAX, 1}) == kCorrupt);
  CHECK(pool_code("pads", {-1, 0, 0, 0}) == kUnsupported);
  CHECK(pool_code("pads", {0, 0, INT64_MAX, 0}) == kCorrupt);
  CHECK(pool_code("pads", {4, 4, 4, 4}) == kCorrupt);  // windows that see padding only
}

TEST_CASE("groups, biases and kernels that do not fit") {
  for (const std::int64_t groups :
       {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{2}, INT64_MAX}) {
    Hostile h;
    add_initializer(h.graph(), "w", {2, 3, 1, 1}, std::vector<float>(6, 1.0f));
    test::set_int(h.node("Conv", {"x", "w"}, "y"), "group", groups);
    CHECK(h.code() == kCorrupt);
  }
  Hostile h;
  add_initializer(h.graph(), "w", {2, 3, 1, 1}, std::vector<float>(6, 1.0f));
  add_initializer(h.graph(), "b", {3}, {1, 2, 3});
  h.node("Conv", {"x", "w", "b"}, "y");
  CHECK(h.code() == kCorrupt);
}

TEST_CASE("names that would act on a terminal are shown as text") {
  Hostile h;
  h.node("Bad\x1b[2J\nType", {"x"}, "y").set_name("first\nsecond\xff");
  CHECK(h.code() == kUnsupported);
}

TEST_CASE("attributes of another type") {
  Hostile h;
  test::set_float(h.node("Softmax", {"x"}, "y"), "axis", 1.0f);
  CHECK(h.code() == kCorrupt);
}

TEST_CASE("a few bytes cannot ask for much memory") {
  {
    Hostile h;  // 2^40 elements
    add_int_initializer(h.graph(), "shape", {1 << 20, 1 << 20});
    h.node("ConstantOfShape", {"shape"}, "w");
    h.node("MatMul", {"x", "w"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  {
    Hostile h;  // 2^30 elements
    add_int_initializer(h.graph(), "shape", {1 << 15, 1 << 15});
    h.node("ConstantOfShape", {"shape"}, "w");
    h.node("MatMul", {"x", "w"}, "y");
    CHECK(h.code() == kUnsupported);
  }
  {
    Hostile h;  // doubles sixty times
    std::string last = "w0";
    add_int_initializer(h.graph(), last, std::vector<std::int64_t>(64, 1));
    for (int i = 1; i <= 60; ++i) {
      const std::string next = "w" + std::to_string(i);
      h.node("Concat", {last, last}, next);
      last = next;
    }
    h.node("Reshape", {"x", last}, "y");
    CHECK(h.code() == kUnsupported);
  }
}

TEST_CASE("arithmetic on shapes that overflows or divides by zero") {
  for (const char* type : {"Mul", "Add", "Div"}) {
    Hostile h;
    add_int_initializer(h.graph(), "a", {INT64_MAX});
    add_int_initializer(h.graph(), "b", {0});
    h.node(type, {"a", "b"}, "target");
    h.node("Reshape", {"x", "target"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  Hostile h;
  add_int_initializer(h.graph(), "a", {4});
  add_int_initializer(h.graph(), "b", {0});
  h.node("Div", {"a", "b"}, "target");
  h.node("Reshape", {"x", "target"}, "y");
  CHECK(h.code() == kCorrupt);
}

TEST_CASE("indices out of range") {
  for (const std::int64_t index : {std::int64_t{3}, std::int64_t{-4}, INT64_MAX, INT64_MIN}) {
    Hostile h;
    add_int_initializer(h.graph(), "data", {1, 2, 3});
    add_int_initializer(h.graph(), "index", {index});
    h.node("Gather", {"data", "index"}, "target");
    h.node("Reshape", {"x", "target"}, "y");
    CHECK(h.code() == kCorrupt);
  }
  for (const std::int64_t axis : {std::int64_t{7}, INT64_MIN, INT64_MAX}) {
    Hostile h;
    test::set_int(h.node("Flatten", {"x"}, "y"), "axis", axis);
    CHECK(h.code() == kCorrupt);
  }
}

TEST_CASE("channels that do not exist, or do not add up") {
  for (const std::int64_t index : {std::int64_t{3}, std::int64_t{-4}, INT64_MAX, INT64_MIN}) {
    Hostile h;
    add_int_initializer(h.graph(), "index", {0, index});
    test::set_int(h.node("Gather", {"x", "index"}, "y"), "axis", 1);
    CHECK(h.code() == kCorrupt);
  }
  for (const std::vector<std::int64_t>& parts : std::vector<std::vector<std::int64_t>>{
           {1, 1}, {1, 3}, {3, 0}, {4, -1}, {INT64_MAX, 4}, {1, 1, 1}, {3}}) {
    Hostile h;
    add_int_initializer(h.graph(), "parts", parts);
    onnx::NodeProto& split = h.node("Split", {"x", "parts"}, "y");
    split.add_output("z");
    test::set_int(split, "axis", 1);
    CHECK(h.code() == kCorrupt);
  }
  Hostile h;  // rows
  onnx::NodeProto& split = h.node("Split", {"x"}, "y");
  split.add_output("z");
  test::set_int(split, "axis", 2);
  CHECK(h.code() == kUnsupported);
}

// Each selection may become a kernel of inputs x outputs.
TEST_CASE("selections of many channels cannot fill memory") {
  Hostile h({1, 60000, 1, 1});
  h.node("Relu", {"x"}, "a");
  std::vector<std::int64_t> all(60000);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  add_int_initializer(h.graph(), "all", all);
  test::set_int(h.node("Gather", {"a", "all"}, "y"), "axis", 1);
  CHECK(h.code() == kUnsupported);

  // The cap itself is 2^26 pairs: one channel more than 2^13 of 2^13 is over it.
  for (const std::size_t selected : {std::size_t{8192}, std::size_t{8193}}) {
    CAPTURE(selected);
    Hostile edge({1, 8192, 1, 1});
    edge.node("Relu", {"x"}, "a");
    all.resize(8193);
    std::vector<std::int64_t> some(all.begin(),
                                   all.begin() + static_cast<std::ptrdiff_t>(selected));
    some.back() = 0;  // there is no channel 8192
    add_int_initializer(edge.graph(), "some", some);
    test::set_int(edge.node("Gather", {"a", "some"}, "y"), "axis", 1);
    const Status status = read_onnx(test::to_bytes(edge.model())).status();
    CHECK(status.is_ok() == (selected == 8192));
    if (status.is_ok()) continue;
    CHECK(status.code() == kCorrupt);
    CHECK_MESSAGE(status.message().find("too many to copy one by one") != std::string::npos,
                  status.message());
  }
}

TEST_CASE("tensors that lie about their data") {
  const auto read_code = [](const onnx::TensorProto& tensor) {
    return read_onnx_tensor(tensor).status().code();
  };
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(2);
  CHECK(read_code(tensor) == kCorrupt);  // no data
  tensor.set_raw_data("1234567");
  CHECK(read_code(tensor) == kCorrupt);  // not whole floats
  tensor.set_raw_data("12345678");
  CHECK(read_code(tensor) == StatusCode::kOk);
  tensor.set_data_type(99);
  CHECK(read_code(tensor) == kUnsupported);
  tensor.set_data_type(onnx::TensorProto::STRING);
  CHECK(read_code(tensor) == kUnsupported);
}

}  // namespace
}  // namespace cleave::importer
