// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/int8_im2col_conv2d.h"

#include <algorithm>
#include <cstring>

#include "engine/executor.h"
#include "engine/memory/weight_cache.h"
#include "engine/ops/int8_range.h"
#include "engine/ops/winograd_weights.h"

namespace cleave::ops {
namespace {

using kernels::kGemmDepthBlock;
using kernels::kMostGemmColumns;
using kernels::kMostGemmRows;

// Rows are made on the stack of a thread.
constexpr std::size_t kMostDepth = 512;
constexpr std::size_t kWindowStride = kMostDepth + 2 * kGemmDepthBlock;

const fbs::Conv2D& conv_options(const OpSpec& spec) { return *spec.op->options_as_Conv2D(); }

std::size_t depth_of(const OpSpec& spec) {
  const fbs::Window& window = *conv_options(spec).window();
  return std::size_t{window.height()} * window.width() * spec.inputs[0].channels();
}

// The parts of the packed block, one behind the other: weights by panels of columns, scales, bias.
// Zeros where there is no channel.
struct Im2colBlock {
  Im2colBlock(const OpSpec& spec, const kernels::KernelTable& table)
      : panel(table.gemm_columns),
        depth(depth_of(spec)),
        filled_depth(round_up(depth, kGemmDepthBlock)),
        outputs(spec.output.channels()),
        columns(round_up(outputs, panel)) {}

  [[nodiscard]] std::size_t values() const { return filled_depth * columns; }
  [[nodiscard]] std::size_t bytes() const {
    return values() * sizeof(std::int16_t) + 2 * columns * sizeof(float);
  }

  std::size_t panel, depth, filled_depth, outputs, columns;
};

// Input less its zero point, times weights, is input times weights less a constant: that goes into
// the bias, which is in steps of the output and has its zero point.
void pack(const OpSpec& spec, const Im2colBlock& layout, void* block) {
  auto* packed = static_cast<std::int16_t*>(block);
  auto* scales = reinterpret_cast<float*>(packed + layout.values());
  float* biases = scales + layout.columns;
  for (std::size_t output = 0; output < layout.outputs; ++output) {
    const auto* kernel = static_cast<const std::int8_t*>(spec.kernel) + output * layout.depth;
    std::int16_t* column = packed + output / layout.panel * layout.panel * layout.filled_depth +
                           output % layout.panel * 2;
    double constant =
        spec.bias == nullptr ? 0 : static_cast<const std::int32_t*>(spec.bias)[output];
    for (std::size_t d = 0; d < layout.depth; ++d) {
      column[d / 2 * 2 * layout.panel + d % 2] = kernel[d];
      constant -= kernel[d] * spec.input_types[0].zero_point;
    }
    const double step =
        double{spec.input_types[0].scale} * spec.kernel_scales[output] / spec.output_type.scale;
    scales[output] = static_cast<float>(step);
    biases[output] = static_cast<float>(constant * step + spec.output_type.zero_point);
  }
}

class Int8Im2colConv2D final : public Op {
 public:
  Int8Im2colConv2D(const OpSpec& spec, const kernels::KernelTable& table, const void* block)
      : table_(table),
        input_(spec.inputs[0]),
        output_(spec.output),
        window_(*conv_options(spec).window()),
        padding_(*conv_options(spec).padding()),
        layout_(spec, table) {
    const Int8Range range = int8_range(spec.clamp, spec.output_type);
    epilogue_ = {nullptr, static_cast<float>(range.minimum), static_cast<float>(range.maximum)};
    zero_ = static_cast<std::int16_t>(spec.input_types[0].zero_point);
    if (block == nullptr) return;
    weights_ = static_cast<const std::int16_t*>(block);
    scales_ = reinterpret_cast<const float*>(weights_ + layout_.values());
    epilogue_.bias = scales_ + layout_.columns;
  }

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    pixels_ = std::size_t{batch} * output_.height() * output_.width();
    return std::size_t{0};
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = static_cast<const std::int8_t*>(buffers.inputs[0]);
    output_data_ = static_cast<std::int8_t*>(buffers.output);
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    pthreadpool_parallelize_1d_tile_1d(
        pool,
        [](void* self, std::size_t first, std::size_t count) {
          static_cast<const Int8Im2colConv2D*>(self)->run_pixels(first, count);
        },
        this, pixels_, table_.gemm_rows, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
    return Status::ok();
  }

 private:
  // Output pixels `first` to `first + rows`, at most as many as the product takes.
  void run_pixels(std::size_t first, std::size_t rows) const {
    // Lines of windows are copied in whole blocks: what is too much is written over by the next.
    alignas(64) std::int16_t windows[kMostGemmRows * kWindowStride];
    Place place = place_of(first);
    for (std::size_t row = 0; row < rows; ++row, step(place)) {
      copy_window(place, windows + row * kWindowStride);
    }
    // Not row by row: a block is loaded best when the stores that made it have left the core.
    alignas(64) std::int16_t values[kMostGemmRows * kMostDepth];
    for (std::size_t d = 0, at = 0; d < layout_.filled_depth; d += kGemmDepthBlock) {
      for (std::size_t row = 0; row < rows; ++row, at += kGemmDepthBlock) {
        std::memcpy(values + at, windows + row * kWindowStride + d,
                    kGemmDepthBlock * sizeof(std::int16_t));
      }
    }
    alignas(64) float products[kMostGemmRows * kMostGemmColumns];
    const std::size_t panel = layout_.panel;
    std::int8_t* pixels = output_data_ + first * layout_.outputs;
    for (std::size_t column = 0; column < layout_.outputs; column += panel) {
      const std::int16_t* weights = weights_ + column * layout_.filled_depth;
      table_.s16_gemm(rows, layout_.filled_depth / kGemmDepthBlock, values, weights, weights,
                      scales_ + column, products, kMostGemmColumns);
      kernels::Epilogue epilogue = epilogue_;
      epilogue.bias += column;
      table_.s8_store_rows(rows, std::min(panel, layout_.outputs - column), products,
                           kMostGemmColumns, epilogue, pixels + column, layout_.outputs);
    }
  }

  struct Place {
    std::size_t picture, y, x;
  };
  [[nodiscard]] Place place_of(std::size_t pixel) const {
    const std::size_t line = pixel / output_.width();
    return {line / output_.height(), line % output_.height(), pixel % output_.width()};
  }
  // Without a division: they would take longer than the copies.
  void step(Place& place) const {
    if (++place.x < output_.width()) return;
    place.x = 0;
    if (++place.y < output_.height()) return;
    place.y = 0;
    ++place.picture;
  }

  // What the window of an output pixel sees, filled up with zeros to whole blocks.
  void copy_window(const Place& place, std::int16_t* line) const {
    const std::int8_t* pixels = input_data_ + place.picture * element_count(input_);
    const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(place.x * window_.stride_width()) -
                                std::ptrdiff_t{padding_.left()};
    const std::ptrdiff_t top = static_cast<std::ptrdiff_t>(place.y * window_.stride_height()) -
                               std::ptrdiff_t{padding_.top()};
    const bool inside = left >= 0 && top >= 0 &&
                        left + std::ptrdiff_t{window_.width()} <= input_.width() &&
                        top + std::ptrdiff_t{window_.height()} <= input_.height();
    const std::size_t length = std::size_t{window_.width()} * input_.channels();
    const std::ptrdiff_t row_stride = std::ptrdiff_t{input_.width()} * input_.channels();
    const std::ptrdiff_t first = top * row_stride + left * std::ptrdiff_t{input_.channels()};
    for (std::uint32_t i = 0; i < window_.height(); ++i) {
      if (inside) {
        copy_blocks(pixels + first + i * row_stride, length, line + i * length);
      } else {
        copy_line(pixels, top + std::ptrdiff_t{i}, left, line + i * length);
      }
    }
    std::fill_n(line + layout_.depth, kGemmDepthBlock, std::int16_t{0});
  }

  // A line of the window, and up to a block of anything behind it.
  void copy_line(const std::int8_t* pixels, std::ptrdiff_t y, std::ptrdiff_t left,
                 std::int16_t* line) const {
    const std::size_t channels = input_.channels();
    const std::ptrdiff_t width = input_.width();
    const std::ptrdiff_t right = left + std::ptrdiff_t{window_.width()};
    const std::size_t length = std::size_t{window_.width()} * channels;
    if (y < 0 || y >= std::ptrdiff_t{input_.height()} || right <= 0 || left >= width) {
      std::fill_n(line, length, zero_);
      return;
    }
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(left, 0);
    const std::ptrdiff_t end = std::min(right, width);
    std::fill_n(line, static_cast<std::size_t>(begin - left) * channels, zero_);
    copy_blocks(pixels + (y * width + begin) * std::ptrdiff_t{input_.channels()},
                static_cast<std::size_t>(end - begin) * channels,
                line + static_cast<std::size_t>(begin - left) * channels);
    const std::size_t missing = static_cast<std::size_t>(right - end) * channels;
    std::fill_n(line + length - missing, missing, zero_);
  }

  // In whole blocks: buffers may be read so far behind their end.
  static void copy_blocks(const std::int8_t* from, std::size_t count, std::int16_t* to) {
    static_assert(kBufferSlackBytes >= kGemmDepthBlock * sizeof(std::int8_t));
    for (std::size_t done = 0; done < count; done += kGemmDepthBlock) {
      for (std::size_t i = 0; i < kGemmDepthBlock; ++i) to[done + i] = from[done + i];
    }
  }

  const kernels::KernelTable& table_;
  fbs::Shape input_;
  fbs::Shape output_;
  fbs::Window window_;
  fbs::Padding padding_;
  Im2colBlock layout_;
  kernels::Epilogue epilogue_;
  std::int16_t zero_ = 0;  // what padding is made of
  const std::int16_t* weights_ = nullptr;
  const float* scales_ = nullptr;
  std::size_t pixels_ = 0;
  const std::int8_t* input_data_ = nullptr;
  std::int8_t* output_data_ = nullptr;
};

}  // namespace

bool int8_im2col_pays(const OpSpec& spec, const kernels::KernelTable& table) {
  const fbs::Conv2D* conv = spec.op->options_as_Conv2D();
  if (conv == nullptr || !spec.on_int8() || table.s16_gemm == nullptr) return false;
  const fbs::Window& window = *conv->window();
  constexpr std::uint32_t kMostChannels = 4;
  return conv->groups() == 1 && spec.inputs[0].channels() <= kMostChannels &&
         window.dilation_height() == 1 && window.dilation_width() == 1 &&
         std::uint64_t{window.height()} * window.width() > 1 &&
         std::uint64_t{window.height()} * window.width() <= kMostDepth / kMostChannels;
}

std::size_t int8_im2col_weight_bytes(const OpSpec& spec, const kernels::KernelTable& table) {
  return Im2colBlock(spec, table).bytes();
}

OpResult create_int8_im2col_conv2d(const OpSpec& spec, const kernels::KernelTable& table) {
  const void* block = nullptr;
  if (spec.entry != nullptr) {
    const Im2colBlock layout(spec, table);
    block = spec.entry->find_or_make(layout.bytes(), [&](void* place) {
      std::memset(place, 0, layout.bytes());
      pack(spec, layout, place);
    });
    if (block == nullptr) return Status{StatusCode::kResourceExhausted, "no memory for weights"};
  }
  return OpResult(std::make_unique<Int8Im2colConv2D>(spec, table, block));
}

}  // namespace cleave::ops
