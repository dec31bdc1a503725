// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/int8_depthwise_conv2d.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/memory/weight_cache.h"
#include "engine/ops/int8_range.h"

namespace cleave::ops {
namespace {

using kernels::kDepthwiseChannels;

constexpr std::size_t kMostTaps = 64;

const fbs::DepthwiseConv2D& depthwise_options(const OpSpec& spec) {
  return *spec.op->options_as_DepthwiseConv2D();
}

// The parts of the packed block, one behind the other: scales, biases, weights.
struct DepthwiseBlock {
  explicit DepthwiseBlock(const OpSpec& spec)
      : taps(std::size_t{depthwise_options(spec).window()->height()} *
             depthwise_options(spec).window()->width()),
        pairs((taps + 1) / 2),
        channels(spec.output.channels()),
        filled((channels + kDepthwiseChannels - 1) / kDepthwiseChannels * kDepthwiseChannels) {}

  [[nodiscard]] std::size_t bytes() const {
    return filled * (sizeof(float) + sizeof(std::int32_t) + 2 * pairs * sizeof(std::int16_t));
  }

  std::size_t taps, pairs, channels, filled;
};

// Input less its zero point, times weights, is input times weights less a constant: that goes into
// the bias.
void pack(const OpSpec& spec, const DepthwiseBlock& layout, void* block) {
  std::memset(block, 0, layout.bytes());
  auto* scales = static_cast<float*>(block);
  auto* biases = reinterpret_cast<std::int32_t*>(scales + layout.filled);
  auto* weights = reinterpret_cast<std::int16_t*>(biases + layout.filled);
  const auto* kernel = static_cast<const std::int8_t*>(spec.kernel);
  const auto* bias = static_cast<const std::int32_t*>(spec.bias);
  const TensorType& input = spec.input_types[0];
  for (std::size_t c = 0; c < layout.channels; ++c) {
    scales[c] = input.scale * spec.kernel_scales[c] / spec.output_type.scale;
    std::int16_t* place = weights + c / kDepthwiseChannels * layout.pairs * 2 * kDepthwiseChannels +
                          c % kDepthwiseChannels * 2;
    std::uint32_t constant = 0;  // wraps as the sums do
    for (std::size_t tap = 0; tap < layout.taps; ++tap) {
      const std::int8_t weight = kernel[tap * layout.channels + c];
      place[tap / 2 * 2 * kDepthwiseChannels + tap % 2] = weight;
      constant += static_cast<std::uint32_t>(weight * input.zero_point);
    }
    const auto given = static_cast<std::uint32_t>(bias == nullptr ? 0 : bias[c]);
    biases[c] = static_cast<std::int32_t>(given - constant);
  }
}

class Int8DepthwiseConv2D final : public Op {
 public:
  Int8DepthwiseConv2D(const OpSpec& spec, const void* block, kernels::S8Depthwise* kernel)
      : input_(spec.inputs[0]),
        output_(spec.output),
        window_(*depthwise_options(spec).window()),
        padding_(*depthwise_options(spec).padding()),
        kernel_(kernel) {
    const DepthwiseBlock layout(spec);
    zero_ = static_cast<std::int8_t>(spec.input_types[0].zero_point);
    const Int8Range range = int8_range(spec.clamp, spec.output_type);
    layer_ = {.channels = layout.channels,
              .tap_pairs = layout.pairs,
              .zero_point = spec.output_type.zero_point,
              .minimum = range.minimum,
              .maximum = range.maximum};
    if (block == nullptr) return;
    const auto* scales = static_cast<const float*>(block);
    const auto* biases = reinterpret_cast<const std::int32_t*>(scales + layout.filled);
    layer_.weights = reinterpret_cast<const std::int16_t*>(biases + layout.filled);
    layer_.bias = biases;
    layer_.scale = scales;
  }

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    batch_ = batch;
    return row_bytes();
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = static_cast<const std::int8_t*>(buffers.inputs[0]);
    output_data_ = static_cast<std::int8_t*>(buffers.output);
    zeros_ = static_cast<std::int8_t*>(buffers.workspace);
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    std::memset(zeros_, zero_, row_bytes());
    pthreadpool_parallelize_2d(
        pool,
        [](void* self, std::size_t picture, std::size_t y) {
          static_cast<const Int8DepthwiseConv2D*>(self)->run_row(picture, y);
        },
        this, batch_, output_.height(), PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return Status::ok();
  }

 private:
  // What is seen in the padding: a row of the input's zero, with room for whole blocks.
  [[nodiscard]] std::size_t row_bytes() const {
    return std::size_t{input_.width()} * layer_.channels + kDepthwiseChannels;
  }

  using Rows = std::array<const std::int8_t*, kMostTaps>;

  // The first pixel of each input row under the window.
  [[nodiscard]] Rows find_rows(std::size_t picture, std::size_t y) const {
    Rows rows{};
    const std::int8_t* first = input_data_ + picture * element_count(input_);
    for (std::uint32_t tap = 0; tap < window_.height(); ++tap) {
      const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(y * window_.stride_height()) +
                                 std::ptrdiff_t{tap} * window_.dilation_height() - padding_.top();
      const bool inside = row >= 0 && row < std::ptrdiff_t{input_.height()};
      rows[tap] =
          inside ? first + row * std::ptrdiff_t{input_.width()} * input_.channels() : zeros_;
    }
    return rows;
  }

  // Where the window of output column x begins, in columns of the input.
  [[nodiscard]] std::ptrdiff_t left_of(std::size_t x) const {
    return static_cast<std::ptrdiff_t>(x * window_.stride_width()) -
           std::ptrdiff_t{padding_.left()};
  }
  [[nodiscard]] bool is_inside(std::size_t x) const {
    const std::ptrdiff_t reach = std::ptrdiff_t{window_.width() - 1} * window_.dilation_width();
    return left_of(x) >= 0 && left_of(x) + reach < std::ptrdiff_t{input_.width()};
  }

  void run_row(std::size_t picture, std::size_t y) const {
    const Rows rows = find_rows(picture, y);
    const std::size_t channels = layer_.channels;
    std::int8_t* output =
        output_data_ + picture * element_count(output_) + y * output_.width() * channels;
    for (std::size_t x = 0; x < output_.width();) {
      // Windows that lie wholly between left and right differ by a step alone.
      std::size_t end = x + 1;
      if (is_inside(x)) {
        while (end < output_.width() && is_inside(end)) ++end;
      }
      run_pixels(rows, left_of(x), end - x, output + x * channels);
      x = end;
    }
  }

  void run_pixels(const Rows& rows, std::ptrdiff_t left, std::size_t pixels,
                  std::int8_t* output) const {
    std::array<const std::int8_t*, kMostTaps + 1> taps{};
    std::size_t tap = 0;
    for (std::uint32_t i = 0; i < window_.height(); ++i) {
      for (std::uint32_t j = 0; j < window_.width(); ++j) {
        const std::ptrdiff_t column = left + std::ptrdiff_t{j} * window_.dilation_width();
        const bool inside = column >= 0 && column < std::ptrdiff_t{input_.width()};
        taps[tap++] = inside ? rows[i] + column * std::ptrdiff_t{input_.channels()} : zeros_;
      }
    }
    taps[tap] = zeros_;  // beside an odd last one
    kernel_(layer_, taps.data(), std::size_t{window_.stride_width()} * layer_.channels, pixels,
            output);
  }

  fbs::Shape input_;
  fbs::Shape output_;
  fbs::Window window_;
  fbs::Padding padding_;
  kernels::S8Depthwise* kernel_;
  kernels::S8DepthwiseLayer layer_;
  std::int8_t zero_ = 0;
  std::int8_t* zeros_ = nullptr;  // the workspace
  std::uint32_t batch_ = 0;
  const std::int8_t* input_data_ = nullptr;
  std::int8_t* output_data_ = nullptr;
};

}  // namespace

bool int8_depthwise_pays(const OpSpec& spec, const kernels::KernelTable& table) {
  if (!spec.on_int8() || table.s8_depthwise == nullptr) return false;
  const fbs::DepthwiseConv2D* conv = spec.op->options_as_DepthwiseConv2D();
  return conv != nullptr && conv->multiplier() == 1 &&
         std::uint64_t{conv->window()->height()} * conv->window()->width() <= kMostTaps;
}

std::size_t int8_depthwise_weight_bytes(const OpSpec& spec) { return DepthwiseBlock(spec).bytes(); }

OpResult create_int8_depthwise_conv2d(const OpSpec& spec, const kernels::KernelTable& table) {
  const void* block = nullptr;
  if (spec.entry != nullptr) {
    const DepthwiseBlock layout(spec);
    block =
        spec.entry->find_or_make(layout.bytes(), [&](void* place) { pack(spec, layout, place); });
    if (block == nullptr) return Status{StatusCode::kResourceExhausted, "no memory for weights"};
  }
  return OpResult(std::make_unique<Int8DepthwiseConv2D>(spec, block, table.s8_depthwise));
}

}  // namespace cleave::ops
