// SPDX-License-Identifier: Apache-2.0
//
// The forms in which exporters write the operators that are imported: each small model is imported
// and compared with ONNX Runtime on the same file.
#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/engine/ort_compare.h"
#include "tests/support/onnx_network.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/ort_session.h"

namespace cleave::test {
namespace {

using Dims = OnnxNetwork::Dims;
using Model = OnnxNetwork;

void check_form(const std::string& name, const onnx::ModelProto& model) {
  INFO(name);
  const Result<OrtComparison> comparison = compare_import_with_ort(model, 6);
  REQUIRE_MESSAGE(comparison.is_ok(), comparison.status().message());
  std::printf("%s\n", to_text(name, *comparison).c_str());
  CHECK(comparison->tensors > 0);
  CHECK(comparison->scores_spread > 1e-3);
  CHECK(comparison->worst < kOrtTolerance);
}

TEST_CASE("convolutions: auto_pad, dilation, groups and multipliers") {
  if (!have_onnx_runtime()) return;
  for (const char* auto_pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    Model m(11, {1, 3, 7, 10});
    check_form(std::string("Conv ") + auto_pad,
               m.finish(m.node("Conv", {"x", m.weights({4, 3, 3, 4})}, [&](onnx::NodeProto& n) {
                 set_text(n, "auto_pad", auto_pad);
                 set_ints(n, "strides", {2, 3});
               })));
  }
  for (const std::int64_t outputs : {6, 12}) {
    Model m(11, {1, 6, 9, 8});
    check_form("Conv depthwise to " + std::to_string(outputs),
               m.finish(m.node("Conv", {"x", m.weights({outputs, 1, 3, 3}), m.weights({outputs})},
                               [](onnx::NodeProto& n) {
                                 set_int(n, "group", 6);
                                 set_ints(n, "dilations", {2, 1});
                                 set_ints(n, "pads", {1, 0, 2, 1});
                               })));
  }
  Model m(7, {1, 6, 9, 8});
  check_form("Conv in groups",
             m.finish(m.node("Conv", {"x", m.weights({4, 3, 2, 3}), m.weights({4})},
                             [](onnx::NodeProto& n) { set_int(n, "group", 2); })));
}

TEST_CASE("fully connected layers: Gemm's scales, MatMul with Add, flattened images") {
  if (!have_onnx_runtime()) return;
  for (const bool transposed : {false, true}) {
    Model m(13, {1, 3, 4, 5});
    const std::string flat = m.node("Flatten", {"x"});
    check_form("Flatten and Gemm",
               m.finish(m.node("Gemm",
                               {flat, m.weights(transposed ? Dims{7, 60} : Dims{60, 7}),
                                transposed ? m.weights({7}) : m.weights({1, 7})},
                               [&](onnx::NodeProto& n) {
                                 set_int(n, "transB", transposed ? 1 : 0);
                                 set_float(n, "alpha", 0.5f);
                                 set_float(n, "beta", 2.0f);
                               })));
  }
  {
    Model m(13, {1, 4, 2, 3});
    const std::string flat = m.node("Reshape", {"x", m.ints({0, -1})});
    const std::string product = m.node("MatMul", {flat, m.weights({24, 5})});
    check_form("Reshape, MatMul, Add", m.finish(m.node("Add", {m.weights({5}), product})));
  }
  {
    Model m(13, {1, 12});
    const std::string turned = m.node("Transpose", {m.weights({5, 12})}, [](onnx::NodeProto& n) {
      set_ints(n, "perm", {1, 0});
    });
    check_form("MatMul by a transposed constant", m.finish(m.node("MatMul", {"x", turned})));
  }
}

TEST_CASE("pooling: ceil_mode, count_include_pad, dilation, auto_pad") {
  if (!have_onnx_runtime()) return;
  for (const char* type : {"MaxPool", "AveragePool"}) {
    for (const std::int64_t counted : {0, 1}) {
      if (counted == 1 && type == std::string("MaxPool")) continue;
      for (const std::int64_t ceil : {0, 1}) {
        Model m(12, {1, 3, 8, 11});
        check_form(std::string(type) + " ceil " + std::to_string(ceil) + " counted " +
                       std::to_string(counted),
                   m.finish(m.node(type, {"x"}, [&](onnx::NodeProto& n) {
                     set_ints(n, "kernel_shape", {3, 3});
                     set_ints(n, "strides", {2, 3});
                     set_ints(n, "pads", {1, 0, 0, 1});
                     set_int(n, "ceil_mode", ceil);
                     if (counted == 1) set_int(n, "count_include_pad", 1);
                   })));
      }
    }
    Model m(12, {1, 3, 8, 11});
    check_form(std::string(type) + " SAME_LOWER",
               m.finish(m.node(type, {"x"}, [&](onnx::NodeProto& n) {
                 set_ints(n, "kernel_shape", {3, 2});
                 set_ints(n, "strides", {2, 2});
                 set_text(n, "auto_pad", "SAME_LOWER");
               })));
  }
  Model m(12, {1, 3, 8, 11});
  check_form("MaxPool dilated", m.finish(m.node("MaxPool", {"x"}, [&](onnx::NodeProto& n) {
    set_ints(n, "kernel_shape", {2, 3});
    set_ints(n, "dilations", {3, 2});
    set_ints(n, "pads", {1, 1, 1, 1});
  })));
}

TEST_CASE("means over height and width") {
  if (!have_onnx_runtime()) return;
  for (const std::int64_t keep : {0, 1}) {
    Model m(13, {1, 5, 4, 3});
    const std::string mean = m.node("ReduceMean", {"x"}, [&](onnx::NodeProto& n) {
      set_ints(n, "axes", {-1, -2});
      set_int(n, "keepdims", keep);
    });
    const std::string flat = keep != 0 ? m.node("Flatten", {mean}) : mean;
    check_form("ReduceMean keepdims " + std::to_string(keep),
               m.finish(m.node("Gemm", {flat, m.weights({5, 4})})));
  }
  Model m(11, {1, 5, 4, 3});
  const std::string pooled = m.node("GlobalAveragePool", {"x"});
  const std::string squeezed = m.node("Squeeze", {pooled}, [](onnx::NodeProto& n) {
    set_ints(n, "axes", {2, 3});
  });
  const std::string back = m.node("Unsqueeze", {m.node("MatMul", {squeezed, m.weights({5, 5})})},
                                  [](onnx::NodeProto& n) {
                                    set_ints(n, "axes", {-1, -2});
                                  });
  check_form("squeeze and excite", m.finish(m.node("Mul", {m.node("Sigmoid", {back}), "x"})));
}

TEST_CASE("activations: Clip by attributes and by inputs, LeakyRelu, HardSwish") {
  if (!have_onnx_runtime()) return;
  {
    Model m(10, {1, 3, 4, 5});
    check_form("Clip 10", m.finish(m.node("Clip", {"x"}, [](onnx::NodeProto& n) {
      set_float(n, "min", -0.25f);
      set_float(n, "max", 0.5f);
    })));
  }
  {
    Model m(13, {1, 3, 4, 5});
    check_form("Clip 13", m.finish(m.node("Clip", {"x", "", m.floats({}, {0.5f})})));
  }
  Model m(14, {1, 3, 4, 5});
  const std::string leaky =
      m.node("LeakyRelu", {"x"}, [](onnx::NodeProto& n) { set_float(n, "alpha", 0.3f); });
  check_form("LeakyRelu, HardSwish", m.finish(m.node("HardSwish", {m.node("LeakyRelu", {leaky})})));
}

TEST_CASE("softmax over the channels, before and since opset 13") {
  if (!have_onnx_runtime()) return;
  for (const int opset : {11, 13}) {
    Model m(opset, {1, 6});
    check_form("Softmax vector, opset " + std::to_string(opset),
               m.finish(m.node("Softmax", {"x"})));
  }
  Model m(13, {1, 6, 3, 2});
  check_form(
      "Softmax of every pixel",
      m.finish(m.node("Softmax", {"x"}, [](onnx::NodeProto& n) { set_int(n, "axis", -3); })));
}

TEST_CASE("arithmetic with constants, scalar and per channel") {
  if (!have_onnx_runtime()) return;
  Model m(13, {1, 3, 4, 5});
  const std::string minus = m.node("Sub", {"x", m.weights({3, 1, 1})});
  const std::string over = m.node("Div", {minus, m.floats({1, 3, 1, 1}, {2.0f, 0.5f, 3.0f})});
  const std::string from = m.node("Sub", {m.floats({}, {1.0f}), over});
  const std::string times = m.node("Mul", {from, m.weights({3, 1, 1})});
  check_form("Sub, Div, Mul, Add", m.finish(m.node("Add", {times, m.floats({1}, {0.25f})})));
}

TEST_CASE("an image that comes as N,H,W,C and is turned first") {
  if (!have_onnx_runtime()) return;
  Model m(13, {1, 6, 7, 3});
  const std::string scaled = m.node("Mul", {"x", m.floats({}, {0.5f})});
  const std::string turned = m.node("Transpose", {scaled}, [](onnx::NodeProto& n) {
    set_ints(n, "perm", {0, 3, 1, 2});
  });
  const std::string conv = m.node("Conv", {turned, m.weights({4, 3, 3, 3})});
  const std::string last = m.node("Transpose", {conv}, [](onnx::NodeProto& n) {
    set_ints(n, "perm", {0, 2, 3, 1});
  });
  const std::string flat = m.node("Reshape", {last, m.ints({1, -1})});
  check_form("NHWC", m.finish(m.node("MatMul", {flat, m.weights({80, 5})})));
}

TEST_CASE("a flatten whose target is computed from the shape") {
  if (!have_onnx_runtime()) return;
  Model m(11, {1, 4, 3, 2});
  const std::string pooled = m.node("MaxPool", {"x"}, [](onnx::NodeProto& n) {
    set_ints(n, "kernel_shape", {2, 1});
  });
  const std::string shape = m.node("Shape", {pooled});
  const std::string batch = m.node("Gather", {shape, m.scalar_int(0)});
  const std::string cast = m.node("Cast", {batch}, [](onnx::NodeProto& n) { set_int(n, "to", 7); });
  const std::string row =
      m.node("Unsqueeze", {cast}, [](onnx::NodeProto& n) { set_ints(n, "axes", {0}); });
  const std::string target =
      m.node("Concat", {row, m.ints({-1})}, [](onnx::NodeProto& n) { set_int(n, "axis", 0); });
  const std::string flat = m.node("Reshape", {pooled, target});
  check_form("Shape, Gather, Concat, Reshape",
             m.finish(m.node("Gemm", {flat, m.weights({16, 3})})));

  Model sliced(11, {1, 4, 3, 2});
  const std::string kept = sliced.node(
      "Slice", {sliced.node("Shape", {"x"}), sliced.ints({0}), sliced.ints({2}), sliced.ints({0})});
  const std::string joined = sliced.node("Concat", {kept, sliced.ints({6})},
                                         [](onnx::NodeProto& n) { set_int(n, "axis", 0); });
  const std::string pixels = sliced.node("Reshape", {"x", joined});
  const std::string mean = sliced.node("ReduceMean", {pixels}, [](onnx::NodeProto& n) {
    set_ints(n, "axes", {2});
    set_int(n, "keepdims", 0);
  });
  check_form("Shape, Slice, Reshape, ReduceMean", sliced.finish(mean));
}

TEST_CASE("padding by attributes and by inputs") {
  if (!have_onnx_runtime()) return;
  {
    Model m(10, {1, 3, 4, 5});
    check_form("Pad 10", m.finish(m.node("Pad", {"x"}, [](onnx::NodeProto& n) {
      set_ints(n, "pads", {0, 0, 1, 0, 0, 0, 2, 3});
      set_float(n, "value", 0.75f);
    })));
  }
  Model m(13, {1, 3, 4, 5});
  const std::string padded = m.node("Pad", {"x", m.ints({0, 0, 0, 1, 0, 0, 1, 2})});
  check_form("Pad 13 and Conv", m.finish(m.node("Conv", {padded, m.weights({2, 3, 3, 3})})));
}

TEST_CASE("batch norm behind what cannot take it in") {
  if (!have_onnx_runtime()) return;
  Model m(13, {1, 3, 4, 5});
  const std::string relu = m.node("Relu", {"x"});
  check_form("BatchNormalization",
             m.finish(m.node("BatchNormalization",
                             {relu, m.weights({3}), m.weights({3}), m.weights({3}),
                              m.floats({3}, {0.5f, 1.5f, 2.5f})},
                             [](onnx::NodeProto& n) { set_float(n, "epsilon", 0.01f); })));
}

}  // namespace
}  // namespace cleave::test
