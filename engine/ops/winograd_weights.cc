// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/winograd_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "engine/kernels/gemm.h"
#include "engine/kernels/winograd.h"
#include "engine/memory/weight_cache.h"

namespace cleave::ops {
namespace {

// The parts of the packed block, one behind the other: values, scales, bias.
struct WinogradBlock {
  WinogradBlock(const OpSpec& spec, std::size_t panel_columns)
      : form(winograd_form(spec)),
        panel(panel_columns),
        inputs(spec.inputs[0].channels()),
        outputs(spec.output.channels()),
        depth(round_up(inputs, kernels::kGemmDepthBlock)),
        columns(round_up(outputs, panel)),
        value_bytes(spec.on_int8() ? sizeof(std::int16_t) : sizeof(float)),
        scales(spec.on_int8() ? form.positions() * columns : 0),
        // A transform takes the bias of 16 channels at once, whatever the width of a panel.
        biases(round_up(columns, kernels::kWinogradChannels)) {}

  [[nodiscard]] std::size_t values() const { return form.positions() * depth * columns; }
  [[nodiscard]] std::size_t bytes() const {
    return values() * value_bytes + (scales + biases) * sizeof(float);
  }
  [[nodiscard]] WinogradWeights parts_of(const void* block) const {
    const auto* behind = reinterpret_cast<const float*>(static_cast<const std::byte*>(block) +
                                                        values() * value_bytes);
    return {block, scales == 0 ? nullptr : behind, behind + scales};
  }

  WinogradForm form;
  std::size_t panel, inputs, outputs, depth, columns, value_bytes, scales, biases;
};

// The kernels of one output channel, transformed: [input][position].
template <class Weight>
void transform(const WinogradBlock& layout, const Weight* kernel, std::vector<double>& values) {
  const std::size_t taps = layout.form.window * layout.form.window;
  const std::size_t positions = layout.form.positions();
  std::vector<double> plane(taps);
  values.resize(layout.inputs * positions);
  for (std::size_t input = 0; input < layout.inputs; ++input) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      plane[tap] = static_cast<double>(kernel[tap * layout.inputs + input]);
    }
    kernels::winograd_weights(plane, layout.form.window, layout.form.patch,
                              std::span(values).subspan(input * positions, positions));
  }
}

void pack_f32(const OpSpec& spec, const WinogradBlock& layout, void* block) {
  auto* packed = static_cast<float*>(block);
  const std::size_t position_stride = layout.depth * layout.columns;
  std::vector<double> values;
  for (std::size_t output = 0; output < layout.outputs; ++output) {
    transform(layout,
              spec.f32_kernel() + output * layout.form.window * layout.form.window * layout.inputs,
              values);
    float* column =
        packed + output / layout.panel * layout.panel * layout.depth + output % layout.panel;
    for (std::size_t input = 0; input < layout.inputs; ++input) {
      for (std::size_t position = 0; position < layout.form.positions(); ++position) {
        column[position * position_stride + input * layout.panel] =
            static_cast<float>(values[input * layout.form.positions() + position]);
      }
    }
  }
  if (spec.bias != nullptr) {
    std::copy_n(spec.f32_bias(), layout.outputs, packed + layout.values());
  }
}

// By what the weights of one position and output channel are multiplied before they are rounded, so
// that neither they nor any exact sum of products with transformed int8 overflows.
double widening(const WinogradForm& form, std::span<const double> values, std::size_t position) {
  constexpr std::size_t kBlock = kernels::kS16GemmSumBlocks * kernels::kGemmDepthBlock;
  constexpr double kLargestSum = std::numeric_limits<std::int32_t>::max();
  const double largest_input = 128.0 * kernels::winograd_gain(form.patch, position / form.patch) *
                               kernels::winograd_gain(form.patch, position % form.patch);
  double largest = 0;
  double block_sum = 0;
  double largest_sum = 0;
  for (std::size_t i = position, input = 0; i < values.size(); i += form.positions(), ++input) {
    if (input % kBlock == 0) block_sum = 0;
    block_sum += std::abs(values[i]);
    largest_sum = std::max(largest_sum, block_sum);
    largest = std::max(largest, std::abs(values[i]));
  }
  if (largest == 0) return 1;
  // Rounding adds at most a half to each.
  const double room = kLargestSum / largest_input - kBlock / 2.0;
  return std::min(room / largest_sum, std::numeric_limits<std::int16_t>::max() / largest);
}

// Input less its zero point, times weights, is input times weights less a constant: that goes into
// the bias.
float int8_bias(const OpSpec& spec, const WinogradBlock& layout, std::size_t output, double step) {
  const std::size_t count = layout.form.window * layout.form.window * layout.inputs;
  const auto* kernel = static_cast<const std::int8_t*>(spec.kernel) + output * count;
  double sum = spec.bias == nullptr ? 0 : static_cast<const std::int32_t*>(spec.bias)[output];
  for (std::size_t i = 0; i < count; ++i) sum -= kernel[i] * spec.input_types[0].zero_point;
  return static_cast<float>(sum * step + spec.output_type.zero_point);
}

// Without a call, millions of times; ties go to even.
std::int16_t to_nearest(double value) {
  constexpr double kOneIsTheLastBit = 0x1.8p52;
  return static_cast<std::int16_t>((value + kOneIsTheLastBit) - kOneIsTheLastBit);
}

void pack_int8(const OpSpec& spec, const WinogradBlock& layout, void* block) {
  auto* packed = static_cast<std::int16_t*>(block);
  auto* scales = reinterpret_cast<float*>(packed + layout.values());
  const std::size_t position_stride = layout.depth * layout.columns;
  const auto* kernel = static_cast<const std::int8_t*>(spec.kernel);
  std::vector<double> values;
  for (std::size_t output = 0; output < layout.outputs; ++output) {
    transform(layout, kernel + output * layout.form.window * layout.form.window * layout.inputs,
              values);
    const double step =
        double{spec.input_types[0].scale} * spec.kernel_scales[output] / spec.output_type.scale;
    std::int16_t* column =
        packed + output / layout.panel * layout.panel * layout.depth + output % layout.panel * 2;
    for (std::size_t position = 0; position < layout.form.positions(); ++position) {
      const double factor = widening(layout.form, values, position);
      scales[position * layout.columns + output] = static_cast<float>(step / factor);
      for (std::size_t input = 0; input < layout.inputs; ++input) {
        const double value = values[input * layout.form.positions() + position] * factor;
        column[position * position_stride + input / 2 * 2 * layout.panel + input % 2] =
            to_nearest(value);
      }
    }
    scales[layout.scales + output] = int8_bias(spec, layout, output, step);
  }
}

}  // namespace

WinogradForm winograd_form(const OpSpec& spec) {
  constexpr std::size_t kFewTiles = 16;
  constexpr std::size_t kManyKernels = 1 << 15;
  const std::size_t window = spec.op->options_as_Conv2D()->window()->height();
  const std::size_t tiles =
      round_up(spec.output.height(), 4) / 4 * (round_up(spec.output.width(), 4) / 4);
  const std::size_t kernels = std::size_t{spec.inputs[0].channels()} * spec.output.channels();
  const bool reads_more_than_it_computes = tiles <= kFewTiles && kernels >= kManyKernels;
  return {window, window == 3 && reads_more_than_it_computes ? std::size_t{4} : std::size_t{6}};
}

std::size_t winograd_weight_bytes(const OpSpec& spec, std::size_t panel_columns) {
  return WinogradBlock(spec, panel_columns).bytes();
}

Result<WinogradWeights> winograd_weights(const OpSpec& spec, std::size_t panel_columns) {
  if (spec.entry == nullptr) return WinogradWeights{};
  const WinogradBlock layout(spec, panel_columns);
  const void* packed = spec.entry->find_or_make(layout.bytes(), [&](void* block) {
    std::fill_n(static_cast<std::byte*>(block), layout.bytes(), std::byte{0});
    (spec.on_int8() ? pack_int8 : pack_f32)(spec, layout, block);
  });
  if (packed == nullptr) return Status{StatusCode::kResourceExhausted, "no memory for weights"};
  return layout.parts_of(packed);
}

}  // namespace cleave::ops
