// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/kernels/dispatch.h"
#include "engine/kernels/half.h"
#include "tests/engine/kernels/kernel_values.h"

namespace cleave::test {
namespace {

using kernels::FullyConnectedRows;
using kernels::KernelTable;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

enum class WeightType { kF32, kF16, kS8 };

// Weights as the kernel reads them, and as the numbers that they stand for. The block ends with the
// last weight, so that reading past it is seen by the address sanitizer.
struct TestWeights {
  std::vector<std::byte> bytes;
  std::vector<double> values;
};

template <class Stored>
void append(TestWeights& weights, Stored stored, double value) {
  const std::size_t end = weights.bytes.size();
  weights.bytes.resize(end + sizeof(stored));
  std::memcpy(weights.bytes.data() + end, &stored, sizeof(stored));
  weights.values.push_back(value);
}

TestWeights make_weights(WeightType type, std::size_t count, unsigned seed) {
  TestWeights weights;
  weights.bytes.reserve(count * 4);
  for (const float value : random_values(count, seed)) {
    if (type == WeightType::kF32) {
      append(weights, value, value);
    } else if (type == WeightType::kF16) {
      const std::uint16_t half = kernels::float_to_half(value);
      append(weights, half, kernels::half_to_float(half));
    } else {
      const auto quantized = static_cast<std::int8_t>(std::lround(value * 127));
      append(weights, quantized, quantized);
    }
  }
  weights.bytes.shrink_to_fit();
  return weights;
}

kernels::FullyConnected* kernel_of(const KernelTable& table, WeightType type) {
  if (type == WeightType::kF32) return table.f32_fully_connected;
  return type == WeightType::kF16 ? table.f16_fully_connected : table.s8_fully_connected;
}

struct Layer {
  std::size_t inputs, outputs, batch;
  bool bias = true;
  float minimum = -kInfinity, maximum = kInfinity;
};

void check_layer(const KernelTable& table, WeightType type, const Layer& layer) {
  CAPTURE(layer.inputs);
  CAPTURE(layer.outputs);
  CAPTURE(layer.batch);
  const TestWeights weights = make_weights(type, layer.inputs * layer.outputs, 5);
  const std::vector<float> input = random_values(layer.inputs * layer.batch, 6);
  const std::vector<float> bias = random_values(layer.outputs, 7);
  const std::vector<float> scale = random_values(layer.outputs, 8);
  std::vector<float> output(layer.outputs * layer.batch, -77.0F);
  const bool scaled = type == WeightType::kS8;
  kernel_of(table, type)({.inputs = layer.inputs,
                          .outputs = layer.outputs,
                          .batch = layer.batch,
                          .input = input.data(),
                          .weights = weights.bytes.data(),
                          .scale = scaled ? scale.data() : nullptr,
                          .bias = layer.bias ? bias.data() : nullptr,
                          .minimum = layer.minimum,
                          .maximum = layer.maximum,
                          .output = output.data()},
                         0, layer.outputs);
  for (std::size_t b = 0; b < layer.batch; ++b) {
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      double sum = 0;
      double magnitude = 1;
      for (std::size_t i = 0; i < layer.inputs; ++i) {
        const double term =
            weights.values[o * layer.inputs + i] * double{input[b * layer.inputs + i]};
        sum += term;
        magnitude += std::abs(term);
      }
      if (scaled) sum *= double{scale[o]};
      if (layer.bias) sum += double{bias[o]};
      sum = std::min(std::max(sum, double{layer.minimum}), double{layer.maximum});
      const double error = std::abs(output[b * layer.outputs + o] - sum);
      CHECK(error <= rounding_bound(layer.inputs + 2) * magnitude);
    }
  }
}

TEST_CASE("every weight type, odd sizes and batches") {
  for (const KernelTable& table : kernels::available_kernels()) {
    CAPTURE(table.name);
    for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kS8}) {
      for (const std::size_t inputs : {1, 3, 4, 15, 16, 17, 100}) {
        for (const std::size_t outputs : {1, 4, 7}) {
          for (const std::size_t batch : {1, 3, 5}) {
            check_layer(table, type, {.inputs = inputs, .outputs = outputs, .batch = batch});
          }
        }
      }
      check_layer(table, type, {.inputs = 40, .outputs = 9, .batch = 2, .bias = false});
      check_layer(table, type,
                  {.inputs = 40, .outputs = 9, .batch = 2, .minimum = -0.5F, .maximum = 0.5F});
    }
  }
}

TEST_CASE("a result is the same alone, in a batch, and in any share of the rows") {
  constexpr std::size_t kInputs = 53;  // not whole vectors, nor whole groups of vectors
  constexpr std::size_t kOutputs = 11;
  constexpr std::size_t kBatch = 6;
  const std::vector<float> input = random_values(kInputs * kBatch, 10);
  const std::vector<float> scale = random_values(kOutputs, 8);
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kS8}) {
    const TestWeights weights = make_weights(type, kInputs * kOutputs, 9);
    for (const KernelTable& table : kernels::available_kernels()) {
      CAPTURE(table.name);
      CAPTURE(static_cast<int>(type));
      kernels::FullyConnected* const kernel = kernel_of(table, type);
      std::vector<float> together(kOutputs * kBatch);
      std::vector<float> apart(kOutputs * kBatch);
      FullyConnectedRows layer{.inputs = kInputs,
                               .outputs = kOutputs,
                               .batch = kBatch,
                               .input = input.data(),
                               .weights = weights.bytes.data(),
                               .scale = type == WeightType::kS8 ? scale.data() : nullptr,
                               .minimum = -kInfinity,
                               .maximum = kInfinity,
                               .output = together.data()};
      kernel(layer, 0, kOutputs);
      layer.batch = 1;
      for (std::size_t b = 0; b < kBatch; ++b) {
        layer.input = input.data() + b * kInputs;
        layer.output = apart.data() + b * kOutputs;
        kernel(layer, 0, 5);
        kernel(layer, 5, 6);
        kernel(layer, 6, kOutputs);
      }
      CHECK(together == apart);
    }
  }
}

}  // namespace
}  // namespace cleave::test
