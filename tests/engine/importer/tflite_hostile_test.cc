// SPDX-License-Identifier: Apache-2.0
//
// TFLite files that are damaged, contradict themselves or ask for what is not there: each gives a
// status that says what is wrong, and none reads out of bounds (run under ASan and UBSan).
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/importer/importer.h"
#include "tests/engine/importer/tflite_builder.h"

namespace cleave::test {
namespace {

using tflite::Activation;
using tflite::BuiltinOperator;
using tflite::OperatorOptions;
using tflite::Padding;
using tflite::TensorType;

Status status_of(const std::vector<std::byte>& file) {
  return importer::read_tflite(file).status();
}

bool mentions(const Status& status, const std::string& text) {
  return status.message().find(text) != std::string::npos;
}

void check_refused(const std::vector<std::byte>& file, StatusCode code, const std::string& why) {
  const Status status = status_of(file);
  CAPTURE(why);
  CAPTURE(status.message());
  CHECK(status.code() == code);
  CHECK(mentions(status, why));
}

// A valid convolution that each test bends in one place.
struct Bent {
  std::vector<int> input_shape{1, 4, 4, 2};
  std::vector<int> kernel_shape{3, 1, 1, 2};
  std::vector<std::int8_t> kernel = std::vector<std::int8_t>(6, 1);
  TfliteQuantization kernel_quantization{{0.5F}, {0}};
  std::vector<int> output_shape{1, 4, 4, 3};
  std::vector<int> op_inputs{0, 1, -1};
  std::vector<int> op_outputs{2};
  std::vector<int> network_inputs{0};
  std::vector<int> network_outputs{2};
  int stride = 1;
  bool with_options = true;

  [[nodiscard]] std::vector<std::byte> file() const {
    TfliteBuilder b;
    b.tensor("x", input_shape);
    b.constant<std::int8_t>("w", kernel_shape, kernel, kernel_quantization);
    b.tensor("y", output_shape);
    b.tensor("unused", {1});
    if (with_options) {
      b.op(BuiltinOperator::CONV_2D, op_inputs, op_outputs, OperatorOptions::Conv2DOptions,
           conv_options(b, Padding::VALID, stride));
    } else {
      b.op(BuiltinOperator::CONV_2D, op_inputs, op_outputs);
    }
    return b.finish(network_inputs, network_outputs);
  }
};

TEST_CASE("the convolution that the others bend is valid") {
  CHECK(status_of(Bent{}.file()).is_ok());
}

TEST_CASE("not a TFLite file") {
  check_refused({}, StatusCode::kCorrupt, "not a TFLite file");
  check_refused(std::vector<std::byte>(100), StatusCode::kCorrupt, "not a TFLite file");
}

TEST_CASE("a file that was cut off is never taken for a whole one") {
  const std::vector<std::byte> file = Bent{}.file();
  for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
    const std::vector<std::byte> cut(file.begin(),
                                     file.begin() + static_cast<std::ptrdiff_t>(bytes));
    CAPTURE(bytes);
    CHECK_FALSE(status_of(cut).is_ok());
  }
}

TEST_CASE("flipped bits give a graph or a status") {
  const std::vector<std::byte> file = Bent{}.file();
  std::mt19937 random(7);  // NOLINT: the same flips every time
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> damaged = file;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      damaged[random() % damaged.size()] ^= static_cast<std::byte>(1u << (random() % 8));
    }
    refused += status_of(damaged).is_ok() ? 0 : 1;
  }
  CHECK(refused > 1000);
}

TEST_CASE("sizes that contradict each other") {
  Bent bent;
  bent.kernel.pop_back();
  check_refused(bent.file(), StatusCode::kCorrupt, "not as long as its shape says");
  bent = {};
  bent.kernel_shape = {3, -1, -1, 2};
  check_refused(bent.file(), StatusCode::kCorrupt, "not as long as its shape says");
  bent = {};
  bent.kernel_shape = {1 << 30, 1 << 30, 1 << 30, 1 << 30};
  check_refused(bent.file(), StatusCode::kCorrupt, "not as long as its shape says");
  bent = {};
  bent.output_shape = {1, 4, 4, 4};
  check_refused(bent.file(), StatusCode::kCorrupt, "said to be [1,4,4,4]");
  bent = {};
  bent.kernel_shape = {2, 1, 1, 3};
  check_refused(bent.file(), StatusCode::kCorrupt, "do not divide");
  bent = {};
  bent.kernel_shape = {6};
  check_refused(bent.file(), StatusCode::kCorrupt, "not of four dimensions");
  bent = {};
  bent.stride = 0;
  check_refused(bent.file(), StatusCode::kCorrupt, "out of range");
}

TEST_CASE("quantization that contradicts itself") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Bent bent;
  bent.kernel_quantization = {{nan}, {0}};
  check_refused(bent.file(), StatusCode::kCorrupt, "scale");
  bent.kernel_quantization = {{0.5F}, {200}};
  check_refused(bent.file(), StatusCode::kCorrupt, "zero point is out of range");
  bent.kernel_quantization = {{0.5F, 0.5F}, {0, 0}, 0};
  check_refused(bent.file(), StatusCode::kCorrupt, "do not agree with the shape");
  bent.kernel_quantization = {{0.5F, 0.5F, 0.5F}, {0, 0}, 0};
  check_refused(bent.file(), StatusCode::kCorrupt, "zero point");
  bent.kernel_quantization = {{0.5F, 0.5F, 0.5F}, {0, 0, 0}, 9};
  check_refused(bent.file(), StatusCode::kCorrupt, "do not agree with the shape");
  bent.kernel_quantization = {};
  check_refused(bent.file(), StatusCode::kCorrupt, "no scale");
}

TEST_CASE("tensors that are not there, or not in order") {
  Bent bent;
  bent.op_inputs = {99, 1, -1};
  check_refused(bent.file(), StatusCode::kCorrupt, "does not exist");
  bent = {};
  bent.op_outputs = {99};
  check_refused(bent.file(), StatusCode::kCorrupt, "output does not exist");
  bent = {};
  bent.op_inputs = {3, 1, -1};
  check_refused(bent.file(), StatusCode::kCorrupt, "before it is computed");
  bent = {};
  bent.op_outputs = {0};
  CHECK_FALSE(status_of(bent.file()).is_ok());
  bent = {};
  bent.network_outputs = {3};
  check_refused(bent.file(), StatusCode::kCorrupt, "no operator computes");
  bent = {};
  bent.network_inputs = {-5};
  check_refused(bent.file(), StatusCode::kCorrupt, "input does not exist");
  bent = {};
  bent.with_options = false;
  check_refused(bent.file(), StatusCode::kCorrupt, "no options");
}

TEST_CASE("networks of another form are refused with a reason") {
  Bent bent;
  bent.network_inputs = {0, 3};
  check_refused(bent.file(), StatusCode::kUnsupported, "2 inputs");
  bent = {};
  bent.network_outputs = {2, 3};
  check_refused(bent.file(), StatusCode::kUnsupported, "2 outputs");
  bent = {};
  bent.input_shape = {8, 4, 4, 2};
  check_refused(bent.file(), StatusCode::kUnsupported, "batch of 1");
  bent = {};
  bent.input_shape = {1, -1, -1, 2};
  check_refused(bent.file(), StatusCode::kUnsupported, "not fixed");
  bent = {};
  bent.op_inputs = {0, 3, -1};
  check_refused(bent.file(), StatusCode::kUnsupported, "needs constant weights");
}

TEST_CASE("every operator that cannot be imported is named, none because of another") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2, 2, 1});
  const int a = b.tensor("a", {1, 2, 2, 1});
  const int after = b.tensor("after", {1, 2, 2, 1});
  const int c = b.tensor("c", {1, 2, 2, 1});
  const int d = b.tensor("d", {1, 2, 2, 1});
  const int w = b.constant<float>("w", {1, 1, 1, 1}, {1});
  b.op(BuiltinOperator::RESIZE_BILINEAR, {x}, {a});
  b.op(BuiltinOperator::RELU, {a}, {after});
  b.op(BuiltinOperator::CONV_2D, {x, w}, {c}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::SAME, 1, Activation::TANH));
  b.op_by_number(127, 200, {after}, {d});
  const Status status = status_of(b.finish({x}, {d}));
  CAPTURE(status.message());
  CHECK(status.code() == StatusCode::kUnsupported);
  CHECK(mentions(status, "3 operators"));
  CHECK(mentions(status, "RESIZE_BILINEAR \"a\""));
  CHECK(mentions(status, "CONV_2D \"c\": fused activation"));
  CHECK(mentions(status, "operator 200 \"d\""));
  CHECK_FALSE(mentions(status, "RELU"));
}

TEST_CASE("layouts that would need data moved are refused") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 2, 2, 2});
  const int order = b.constant<std::int32_t>("order", {4}, {0, 3, 1, 2});
  const int turned = b.tensor("turned", {1, 2, 2, 2});
  const int y = b.tensor("y", {1, 2, 2, 2});
  const int w = b.constant<float>("w", {2, 1, 1, 2}, {1, 1, 1, 1});
  b.op(BuiltinOperator::TRANSPOSE, {x, order}, {turned});
  b.op(BuiltinOperator::CONV_2D, {turned, w}, {y}, OperatorOptions::Conv2DOptions,
       conv_options(b, Padding::SAME));
  check_refused(b.finish({x}, {y}), StatusCode::kUnsupported, "not laid out as N,H,W,C");
}

TEST_CASE("one constant named by many operators cannot fill memory") {
  TfliteBuilder b;
  const int x = b.tensor("x", {1, 1 << 18});
  const std::vector<std::int8_t> ones(1 << 18, 1);
  const int w = b.constant<std::int8_t>("w", {1, 1 << 18}, ones, {{1}, {0}});
  int y = -1;
  for (int i = 0; i < 100; ++i) {
    y = b.tensor("y", {1, 1});
    b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, -1}, {y}, OperatorOptions::FullyConnectedOptions,
         fully_connected_options(b));
  }
  check_refused(b.finish({x}, {y}), StatusCode::kResourceExhausted, "shared by too many");
}

}  // namespace
}  // namespace cleave::test
