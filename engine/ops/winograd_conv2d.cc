// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/winograd_conv2d.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "engine/ops/int8_range.h"
#include "engine/ops/winograd_weights.h"

namespace cleave::ops {
namespace {

using kernels::kGemmDepthBlock;
using kernels::kMostWinogradPatchSide;
using kernels::kWinogradChannels;

// Tiles that are computed together. Each reads the transformed weights once, so more of them save
// memory traffic; their values and products should still fit the caches near the core.
constexpr std::size_t kMostTiles = 112;
// With weights of so few bytes, that stay in each core's own cache, threads take blocks of their
// own.
constexpr std::size_t kMostSharedBytes = std::size_t{3} << 19;
// Together they take no more memory than one that all work on.
constexpr std::size_t kFewestTiles = 28;
constexpr std::size_t kMostBlocksAtOnce = kMostTiles / kFewestTiles;
// Between two positions, so that their streams do not fall on the same lines of the cache.
constexpr std::size_t kPositionPadding = 16;

std::size_t window_side(const OpSpec& spec) {
  return spec.op->options_as_Conv2D()->window()->height();
}

// The kernels of a window's side, for tensors of Pixel.
template <class Pixel>
struct Transforms;

template <>
struct Transforms<float> {
  using Value = float;
  Transforms(const kernels::KernelTable& table, const WinogradForm& form)
      : input(form.patch == 4 ? table.winograd_input_4 : table.winograd_input_6),
        output(form.window == 5  ? table.winograd_output_2x5
               : form.patch == 4 ? table.winograd_output_2x3
                                 : table.winograd_output_4x3) {}
  kernels::F32WinogradInput* input;
  kernels::F32WinogradOutput* output;
};

template <>
struct Transforms<std::int8_t> {
  using Value = std::int16_t;
  Transforms(const kernels::KernelTable& table, const WinogradForm& form)
      : input(form.patch == 4 ? table.s8_winograd_input_4 : table.s8_winograd_input_6),
        output(form.window == 5  ? table.s8_winograd_output_2x5
               : form.patch == 4 ? table.s8_winograd_output_2x3
                                 : table.s8_winograd_output_4x3) {}
  kernels::S8WinogradInput* input;
  kernels::S8WinogradOutput* output;
};

// Pixel: float or std::int8_t. Of int8, patches are transformed to integers of 16 bits, exactly,
// and multiplied as such; products and what follows are f32.
template <class Pixel>
class WinogradConv2D final : public Op {
  using Value = typename Transforms<Pixel>::Value;

 public:
  WinogradConv2D(const OpSpec& spec, const kernels::KernelTable& table,
                 const WinogradWeights& weights)
      : table_(table),
        form_(winograd_form(spec)),
        transforms_(table, form_),
        output_side_(form_.output()),
        input_(spec.inputs[0]),
        output_(spec.output),
        padding_(*spec.op->options_as_Conv2D()->padding()),
        weights_(weights),
        depth_(round_up(spec.inputs[0].channels(), kGemmDepthBlock)),
        columns_(round_up(spec.output.channels(), table.gemm_columns)),
        tiles_across_((output_.width() + output_side_ - 1) / output_side_),
        tiles_down_((output_.height() + output_side_ - 1) / output_side_) {
    if constexpr (std::is_same_v<Pixel, std::int8_t>) {
      const Int8Range range = int8_range(spec.clamp, spec.output_type);
      clamp_ = {static_cast<float>(range.minimum), static_cast<float>(range.maximum)};
      zero_ = static_cast<std::int8_t>(spec.input_types[0].zero_point);
    } else {
      clamp_ = spec.clamp;
    }
  }

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) override {
    tile_count_ = std::size_t{batch} * tiles_across_ * tiles_down_;
    in_turn_ = block_shape(std::min(tile_count_, kMostTiles));
    threads_ = pthreadpool_get_threads_count(pool);
    const std::size_t weight_bytes = form_.positions() * depth_ * columns_ * sizeof(Value);
    const bool at_once = weight_bytes <= kMostSharedBytes && threads_ > 1 &&
                         threads_ <= kMostBlocksAtOnce && tile_count_ >= 2 * kMostTiles;
    if (!at_once) threads_ = 1;
    at_once_ = block_shape(kMostTiles / threads_);
    return at_once ? std::max(in_turn_.bytes, threads_ * at_once_.bytes) : in_turn_.bytes;
  }

  // Blocks are computed in the order of their tiles, and a block reads all that it reads before it
  // writes. So what is written when a block is done must end before what later ones read.
  std::size_t output_lead_bytes() const override {
    std::ptrdiff_t lead = 0;
    for (std::size_t next = in_turn_.tiles; next < tile_count_; next += in_turn_.tiles) {
      lead = std::max(lead, written_before(next) - unread_from(next));
    }
    return static_cast<std::size_t>(lead) * sizeof(Pixel);
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = static_cast<const Pixel*>(buffers.inputs[0]);
    output_data_ = static_cast<Pixel*>(buffers.output);
    workspace_ = static_cast<std::byte*>(buffers.workspace);
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    if (threads_ > 1 && !is_in_place()) {
      run_blocks_at_once(pool);
      return Status::ok();
    }
    for (std::size_t first = 0; first < tile_count_; first += in_turn_.tiles) {
      const Block block = block_at(first, in_turn_, workspace_);
      parallelize<&WinogradConv2D::transform_tile_input>(pool, block, block.tiles);
      parallelize<&WinogradConv2D::multiply_position>(pool, block, form_.positions());
      parallelize<&WinogradConv2D::transform_tile_output>(pool, block, block.tiles);
    }
    return Status::ok();
  }

 private:
  struct BlockShape {
    std::size_t tiles = 0;
    std::size_t values_stride = 0;    // values between two positions
    std::size_t products_stride = 0;  // floats between two positions
    std::size_t bytes = 0;
  };
  [[nodiscard]] BlockShape block_shape(std::size_t tiles) const {
    const std::size_t values = tiles * depth_ + kPositionPadding;
    const std::size_t products = tiles * columns_ + kPositionPadding;
    return {tiles, values, products,
            form_.positions() * (values * sizeof(Value) + products * sizeof(float))};
  }

  // Tiles that are computed together, and where their values and products are.
  struct Block {
    std::size_t first_tile, tiles, panels;
    Value* values;    // [position][panel][depth / 16][tile of panel][16]
    float* products;  // [position][tile][columns_]
    std::size_t values_stride, products_stride;

    // Tiles are spread evenly over panels: 16 tiles are 8 and 8, not 14 and 2.
    [[nodiscard]] std::size_t panel_begin(std::size_t panel) const {
      return tiles * panel / panels;
    }
    [[nodiscard]] std::size_t panel_of(std::size_t tile) const {
      return ((tile + 1) * panels - 1) / tiles;
    }
  };
  [[nodiscard]] Block block_at(std::size_t first_tile, const BlockShape& shape,
                               std::byte* workspace) const {
    const std::size_t tiles = std::min(shape.tiles, tile_count_ - first_tile);
    auto* values = reinterpret_cast<Value*>(workspace);
    auto* products = reinterpret_cast<float*>(values + form_.positions() * shape.values_stride);
    return {first_tile,
            tiles,
            (tiles + table_.gemm_rows - 1) / table_.gemm_rows,
            values,
            products,
            shape.values_stride,
            shape.products_stride};
  }

  // Then blocks must be computed in their order (output_lead_bytes).
  [[nodiscard]] bool is_in_place() const {
    const std::size_t batch = tile_count_ / (tiles_across_ * tiles_down_);
    const auto input = reinterpret_cast<std::uintptr_t>(input_data_);
    const auto output = reinterpret_cast<std::uintptr_t>(output_data_);
    return output < input + batch * element_count(input_) * sizeof(Pixel) &&
           input < output + batch * element_count(output_) * sizeof(Pixel);
  }

  template <void (WinogradConv2D::*kTask)(const Block&, std::size_t) const>
  void parallelize(pthreadpool_t pool, const Block& block, std::size_t count) const {
    struct Context {
      const WinogradConv2D& op;
      const Block& block;
    } context{*this, block};
    pthreadpool_parallelize_1d(
        pool,
        [](void* data, std::size_t index) {
          const auto& [op, its_block] = *static_cast<const Context*>(data);
          (op.*kTask)(its_block, index);
        },
        &context, count, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
  }

  // A thread takes a block through all steps: nobody waits for others until the end.
  void run_blocks_at_once(pthreadpool_t pool) const {
    pthreadpool_parallelize_1d_with_thread(
        pool,
        [](void* self, std::size_t thread, std::size_t index) {
          const auto& op = *static_cast<const WinogradConv2D*>(self);
          const BlockShape& shape = op.at_once_;
          const Block block =
              op.block_at(index * shape.tiles, shape, op.workspace_ + thread * shape.bytes);
          for (std::size_t i = 0; i < block.tiles; ++i) op.transform_tile_input(block, i);
          for (std::size_t i = 0; i < op.form_.positions(); ++i) op.multiply_position(block, i);
          for (std::size_t i = 0; i < block.tiles; ++i) op.transform_tile_output(block, i);
        },
        const_cast<WinogradConv2D*>(this), (tile_count_ + at_once_.tiles - 1) / at_once_.tiles,
        PTHREADPOOL_FLAG_DISABLE_DENORMALS);
  }

  struct Tile {
    std::size_t picture, y, x;  // y, x: of its first output pixel
  };
  [[nodiscard]] Tile tile_at(std::size_t tile) const {
    return {tile / tiles_across_ / tiles_down_, tile / tiles_across_ % tiles_down_ * output_side_,
            tile % tiles_across_ * output_side_};
  }

  // Where in the output the tiles before `tile` end, in elements.
  [[nodiscard]] std::ptrdiff_t written_before(std::size_t tile) const {
    const Tile last = tile_at(tile - 1);
    const std::size_t y = std::min<std::size_t>(last.y + output_side_, output_.height());
    const std::size_t x = std::min<std::size_t>(last.x + output_side_, output_.width());
    return static_cast<std::ptrdiff_t>(last.picture * element_count(output_) +
                                       ((y - 1) * output_.width() + x) * output_.channels());
  }
  // Where in the input the patches of `tile` and those after it begin, in elements. Those of the
  // next band of tiles may begin in the same row, where the padding holds more than a band.
  [[nodiscard]] std::ptrdiff_t unread_from(std::size_t tile) const {
    const Tile first = tile_at(tile);
    const std::size_t y = first.y - std::min<std::size_t>(first.y, padding_.top());
    const std::size_t x = first.x - std::min<std::size_t>(first.x, padding_.left());
    const std::size_t band = first.y + output_side_;
    const std::size_t next_y = band - std::min<std::size_t>(band, padding_.top());
    const std::size_t pixel = std::min(y * input_.width() + x, next_y * input_.width());
    return static_cast<std::ptrdiff_t>(first.picture * element_count(input_) +
                                       pixel * input_.channels());
  }

  void transform_tile_input(const Block& block, std::size_t index) const {
    const Tile tile = tile_at(block.first_tile + index);
    const std::size_t channels = input_.channels();
    const auto top = static_cast<std::ptrdiff_t>(tile.y) - padding_.top();
    const auto left = static_cast<std::ptrdiff_t>(tile.x) - padding_.left();
    const bool inside = top >= 0 && left >= 0 &&
                        top + static_cast<std::ptrdiff_t>(form_.patch) <= input_.height() &&
                        left + static_cast<std::ptrdiff_t>(form_.patch) <= input_.width();
    const Pixel* picture = input_data_ + tile.picture * element_count(input_);
    const std::size_t panel = block.panel_of(index);
    const std::size_t begin = block.panel_begin(panel);
    const std::size_t rows = block.panel_begin(panel + 1) - begin;
    Value* values = block.values + begin * depth_ + (index - begin) * kGemmDepthBlock;
    const kernels::WinogradPatch patch{std::size_t{input_.width()} * channels, channels};
    for (std::size_t channel = 0; channel < depth_; channel += kGemmDepthBlock) {
      if (inside && channel + kGemmDepthBlock <= channels) {
        const Pixel* pixels =
            picture +
            (static_cast<std::size_t>(top) * input_.width() + static_cast<std::size_t>(left)) *
                channels +
            channel;
        transforms_.input(patch, pixels, values + channel * rows, block.values_stride);
      } else {
        transform_edge(picture, top, left, channel, values + channel * rows, block.values_stride);
      }
    }
  }

  // A patch that reaches over the picture's edge, or has fewer channels than a call takes.
  void transform_edge(const Pixel* picture, std::ptrdiff_t top, std::ptrdiff_t left,
                      std::size_t channel, Value* values, std::size_t values_stride) const {
    constexpr std::size_t kRow = kMostWinogradPatchSide * kWinogradChannels;
    alignas(64) Pixel pixels[kMostWinogradPatchSide * kRow];
    std::fill_n(pixels, form_.patch * kRow, zero_);
    const std::size_t count = std::min(kWinogradChannels, input_.channels() - channel);
    for (std::size_t y = 0; y < form_.patch; ++y) {
      const std::ptrdiff_t source_y = top + static_cast<std::ptrdiff_t>(y);
      if (source_y < 0 || source_y >= std::ptrdiff_t{input_.height()}) continue;
      for (std::size_t x = 0; x < form_.patch; ++x) {
        const std::ptrdiff_t source_x = left + static_cast<std::ptrdiff_t>(x);
        if (source_x < 0 || source_x >= std::ptrdiff_t{input_.width()}) continue;
        const auto pixel = static_cast<std::size_t>(source_y * input_.width() + source_x);
        std::memcpy(pixels + y * kRow + x * kWinogradChannels,
                    picture + pixel * input_.channels() + channel, count * sizeof(Pixel));
      }
    }
    transforms_.input({kRow, kWinogradChannels}, pixels, values, values_stride);
  }

  void multiply_position(const Block& block, std::size_t position) const {
    const Value* values = block.values + position * block.values_stride;
    float* products = block.products + position * block.products_stride;
    const Value* weights =
        static_cast<const Value*>(weights_.values) + position * depth_ * columns_;
    const std::size_t panel_values = table_.gemm_columns * depth_;
    for (std::size_t column = 0; column < columns_; column += table_.gemm_columns) {
      for (std::size_t panel = 0; panel < block.panels; ++panel) {
        const std::size_t begin = block.panel_begin(panel);
        // The last rows are multiplied from the caches: time to fetch the next columns' weights.
        const Value* next = panel + 1 == block.panels ? weights + panel_values : weights;
        multiply_panel(block.panel_begin(panel + 1) - begin, values + begin * depth_, weights, next,
                       position * columns_ + column, products + begin * columns_ + column);
      }
      weights += panel_values;
    }
  }

  void multiply_panel(std::size_t rows, const Value* values, const Value* weights,
                      const Value* next, std::size_t scale, float* products) const {
    const std::size_t blocks = depth_ / kGemmDepthBlock;
    if constexpr (std::is_same_v<Pixel, std::int8_t>) {
      table_.s16_gemm(rows, blocks, values, weights, next, weights_.scales + scale, products,
                      columns_);
    } else {
      table_.gemm(rows, blocks, values, weights, next, products, columns_);
    }
  }

  void transform_tile_output(const Block& block, std::size_t index) const {
    const Tile tile = tile_at(block.first_tile + index);
    const std::size_t channels = output_.channels();
    const std::size_t rows = std::min<std::size_t>(output_side_, output_.height() - tile.y);
    const std::size_t columns = std::min<std::size_t>(output_side_, output_.width() - tile.x);
    const bool whole = rows == output_side_ && columns == output_side_;
    Pixel* pixels = output_data_ + tile.picture * element_count(output_) +
                    (tile.y * output_.width() + tile.x) * channels;
    const float* products = block.products + index * columns_;
    const kernels::WinogradPatch patch{std::size_t{output_.width()} * channels, channels};
    for (std::size_t channel = 0; channel < channels; channel += kWinogradChannels) {
      if (whole && channel + kWinogradChannels <= channels) {
        transforms_.output(products + channel, block.products_stride, patch, epilogue_at(channel),
                           pixels + channel);
      } else {
        write_edge(products + channel, block.products_stride, channel, rows, columns, patch,
                   pixels + channel);
      }
    }
  }

  void write_edge(const float* products, std::size_t products_stride, std::size_t channel,
                  std::size_t rows, std::size_t columns, const kernels::WinogradPatch& patch,
                  Pixel* pixels) const {
    constexpr std::size_t kRow = kMostOutputSide * kWinogradChannels;
    alignas(64) Pixel whole[kMostOutputSide * kRow];
    transforms_.output(products, products_stride, {kRow, kWinogradChannels}, epilogue_at(channel),
                       whole);
    const std::size_t count = std::min(kWinogradChannels, output_.channels() - channel);
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        std::memcpy(pixels + y * patch.row_stride + x * patch.pixel_stride,
                    whole + y * kRow + x * kWinogradChannels, count * sizeof(Pixel));
      }
    }
  }

  [[nodiscard]] kernels::Epilogue epilogue_at(std::size_t channel) const {
    return {weights_.bias + channel, clamp_.minimum, clamp_.maximum};
  }

  static constexpr std::size_t kMostOutputSide = 4;

  const kernels::KernelTable& table_;
  WinogradForm form_;
  Transforms<Pixel> transforms_;
  std::size_t output_side_;
  fbs::Shape input_;
  fbs::Shape output_;
  fbs::Padding padding_;
  ClampRange clamp_;
  WinogradWeights weights_;
  Pixel zero_ = 0;       // what padding is made of
  std::size_t depth_;    // input channels, filled up
  std::size_t columns_;  // output channels, filled up
  std::size_t tiles_across_;
  std::size_t tiles_down_;

  std::size_t tile_count_ = 0;
  BlockShape in_turn_;
  BlockShape at_once_;       // of a thread's own blocks
  std::size_t threads_ = 1;  // that take blocks of their own
  const Pixel* input_data_ = nullptr;
  Pixel* output_data_ = nullptr;
  std::byte* workspace_ = nullptr;  // of each block that is computed at the same time
};

// In place, an op saves the smaller of its tensors where the arena is fullest, and XNNPACK's
// pointers to every pixel; what its weights grow by stays for good.
bool takes_little_memory(const OpSpec& spec, const kernels::KernelTable& table) {
  constexpr std::size_t kShare = 4;
  const std::size_t element_bytes = dtype_bytes(spec.output_type.dtype);
  const std::size_t tensor = std::min(element_count(spec.inputs[0]), element_count(spec.output));
  const std::size_t direct =
      window_side(spec) * window_side(spec) * spec.inputs[0].channels() * spec.output.channels();
  return winograd_weight_bytes(spec, table.gemm_columns) <=
         (direct + tensor / kShare) * element_bytes;
}

}  // namespace

bool winograd_pays(const OpSpec& spec, const kernels::KernelTable& table) {
  const fbs::Conv2D* conv = spec.op->options_as_Conv2D();
  if (conv == nullptr || (spec.on_int8() && table.s16_gemm == nullptr)) return false;
  const fbs::Window& window = *conv->window();
  const fbs::Padding& padding = *conv->padding();
  const bool fits = (window.height() == 3 || window.height() == 5) &&
                    window.width() == window.height() && window.stride_height() == 1 &&
                    window.stride_width() == 1 && window.dilation_height() == 1 &&
                    window.dilation_width() == 1 && conv->groups() == 1 &&
                    std::max({padding.top(), padding.right(), padding.bottom(), padding.left()}) <=
                        window.height() / 2;
  constexpr std::uint32_t kFewestChannels = 16;
  return fits && spec.inputs[0].channels() >= kFewestChannels &&
         spec.output.channels() >= kFewestChannels &&
         (spec.preference == Preference::kSpeed || takes_little_memory(spec, table));
}

OpResult create_winograd_conv2d(const OpSpec& spec, const kernels::KernelTable& table) {
  CLEAVE_ASSIGN_OR_RETURN(const WinogradWeights weights,
                          winograd_weights(spec, table.gemm_columns));
  if (spec.on_int8()) {
    return OpResult(std::make_unique<WinogradConv2D<std::int8_t>>(spec, table, weights));
  }
  return OpResult(std::make_unique<WinogradConv2D<float>>(spec, table, weights));
}

}  // namespace cleave::ops
