// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/winograd_weights.h"

#include <algorithm>

#include "engine/kernels/gemm.h"
#include "engine/kernels/winograd.h"
#include "engine/memory/weight_cache.h"

namespace cleave::ops {
namespace {

using kernels::kWinogradPositions;

// A transform takes the bias of 16 channels at once, whatever the width of a panel.
std::size_t bias_floats(std::size_t columns) {
  return round_up(columns, kernels::kWinogradChannels);
}

void pack(const OpSpec& spec, std::size_t panel, float* packed) {
  const std::size_t inputs = spec.inputs[0].channels();
  const std::size_t outputs = spec.output.channels();
  const std::size_t depth = round_up(inputs, kernels::kGemmDepthBlock);
  const std::size_t columns = round_up(outputs, panel);
  const std::size_t position_stride = depth * columns;
  std::fill_n(packed, kWinogradPositions * position_stride + bias_floats(columns), 0.0F);
  for (std::size_t output = 0; output < outputs; ++output) {
    float* column = packed + output / panel * panel * depth + output % panel;
    for (std::size_t input = 0; input < inputs; ++input) {
      float values[kWinogradPositions];
      kernels::f32_winograd_weights_4x3(spec.f32_kernel() + output * 9 * inputs + input, inputs,
                                        values);
      for (std::size_t position = 0; position < kWinogradPositions; ++position) {
        column[position * position_stride + input * panel] = values[position];
      }
    }
  }
  if (spec.bias != nullptr) {
    std::copy_n(spec.f32_bias(), outputs, packed + kWinogradPositions * position_stride);
  }
}

}  // namespace

std::size_t winograd_weight_bytes(const OpSpec& spec, std::size_t panel_columns) {
  const std::size_t depth = round_up(spec.inputs[0].channels(), kernels::kGemmDepthBlock);
  const std::size_t columns = round_up(spec.output.channels(), panel_columns);
  return (kWinogradPositions * depth * columns + bias_floats(columns)) * sizeof(float);
}

Result<const float*> winograd_weights(const OpSpec& spec, std::size_t panel_columns) {
  if (spec.entry == nullptr) return nullptr;
  const void* packed = spec.entry->find_or_make(
      winograd_weight_bytes(spec, panel_columns),
      [&](void* block) { pack(spec, panel_columns, static_cast<float*>(block)); });
  if (packed == nullptr) return Status{StatusCode::kResourceExhausted, "no memory for weights"};
  return static_cast<const float*>(packed);
}

}  // namespace cleave::ops
