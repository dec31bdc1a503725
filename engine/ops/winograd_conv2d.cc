// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/winograd_conv2d.h"

#include <algorithm>
#include <cstring>

#include "engine/memory/weight_cache.h"
#include "engine/ops/winograd_weights.h"

namespace cleave::ops {
namespace {

using kernels::kGemmDepthBlock;
using kernels::kWinogradChannels;
using kernels::kWinogradOutputSide;
using kernels::kWinogradPatchSide;
using kernels::kWinogradPositions;

// Tiles that are computed together. Each reads the transformed weights once, so more of them save
// memory traffic; their values and products should still fit the caches near the core.
constexpr std::size_t kMostTiles = 112;
// Between two positions, so that 36 streams do not fall on the same lines of the cache.
constexpr std::size_t kPositionPadding = 16;

class WinogradConv2D final : public Op {
 public:
  WinogradConv2D(const OpSpec& spec, const kernels::KernelTable& table, const float* weights)
      : table_(table),
        input_(spec.inputs[0]),
        output_(spec.output),
        padding_(*spec.op->options_as_Conv2D()->padding()),
        clamp_(spec.clamp),
        weights_(weights),
        depth_(round_up(spec.inputs[0].channels(), kGemmDepthBlock)),
        columns_(round_up(spec.output.channels(), table.gemm_columns)),
        tiles_across_((output_.width() + kWinogradOutputSide - 1) / kWinogradOutputSide),
        tiles_down_((output_.height() + kWinogradOutputSide - 1) / kWinogradOutputSide) {}

  Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t) override {
    tile_count_ = std::size_t{batch} * tiles_across_ * tiles_down_;
    block_tiles_ = std::min(tile_count_, kMostTiles);
    values_stride_ = block_tiles_ * depth_ + kPositionPadding;
    products_stride_ = block_tiles_ * columns_ + kPositionPadding;
    return kWinogradPositions * (values_stride_ + products_stride_) * sizeof(float);
  }

  // Blocks are computed in the order of their tiles, and a block reads all that it reads before it
  // writes. So what is written when a block is done must end before what later ones read.
  std::size_t output_lead_bytes() const override {
    std::ptrdiff_t lead = 0;
    for (std::size_t next = block_tiles_; next < tile_count_; next += block_tiles_) {
      lead = std::max(lead, written_before(next) - unread_from(next));
    }
    return static_cast<std::size_t>(lead) * sizeof(float);
  }

  Status setup(const OpBuffers& buffers) override {
    input_data_ = buffers.f32_input();
    output_data_ = buffers.f32_output();
    values_ = static_cast<float*>(buffers.workspace);
    products_ = values_ + kWinogradPositions * values_stride_;
    return Status::ok();
  }

  Status run(pthreadpool_t pool) override {
    for (first_tile_ = 0; first_tile_ < tile_count_; first_tile_ += block_tiles_) {
      tiles_ = std::min(block_tiles_, tile_count_ - first_tile_);
      panels_ = (tiles_ + table_.gemm_rows - 1) / table_.gemm_rows;
      parallelize<&WinogradConv2D::transform_tile_input>(pool, tiles_);
      parallelize<&WinogradConv2D::multiply_position>(pool, kWinogradPositions);
      parallelize<&WinogradConv2D::transform_tile_output>(pool, tiles_);
    }
    return Status::ok();
  }

 private:
  template <void (WinogradConv2D::*kTask)(std::size_t) const>
  void parallelize(pthreadpool_t pool, std::size_t count) const {
    pthreadpool_parallelize_1d(
        pool,
        [](void* self, std::size_t index) {
          (static_cast<const WinogradConv2D*>(self)->*kTask)(index);
        },
        const_cast<WinogradConv2D*>(this), count, PTHREADPOOL_FLAG_DISABLE_DENORMALS);
  }

  struct Tile {
    std::size_t picture, y, x;  // y, x: of its first output pixel
  };
  [[nodiscard]] Tile tile_at(std::size_t tile) const {
    return {tile / tiles_across_ / tiles_down_,
            tile / tiles_across_ % tiles_down_ * kWinogradOutputSide,
            tile % tiles_across_ * kWinogradOutputSide};
  }

  // Where in the output the tiles before `tile` end, in floats.
  [[nodiscard]] std::ptrdiff_t written_before(std::size_t tile) const {
    const Tile last = tile_at(tile - 1);
    const std::size_t y = std::min<std::size_t>(last.y + kWinogradOutputSide, output_.height());
    const std::size_t x = std::min<std::size_t>(last.x + kWinogradOutputSide, output_.width());
    return static_cast<std::ptrdiff_t>(last.picture * element_count(output_) +
                                       ((y - 1) * output_.width() + x) * output_.channels());
  }
  // Where in the input the patches of `tile` and those after it begin, in floats.
  [[nodiscard]] std::ptrdiff_t unread_from(std::size_t tile) const {
    const Tile first = tile_at(tile);
    const std::size_t y = first.y - std::min<std::size_t>(first.y, padding_.top());
    const std::size_t x = first.x - std::min<std::size_t>(first.x, padding_.left());
    return static_cast<std::ptrdiff_t>(first.picture * element_count(input_) +
                                       (y * input_.width() + x) * input_.channels());
  }

  // Tiles are spread evenly over panels: 16 tiles are 8 and 8, not 14 and 2.
  [[nodiscard]] std::size_t panel_begin(std::size_t panel) const {
    return tiles_ * panel / panels_;
  }
  [[nodiscard]] std::size_t panel_of(std::size_t tile) const {
    return ((tile + 1) * panels_ - 1) / tiles_;
  }

  void transform_tile_input(std::size_t index) const {
    const Tile tile = tile_at(first_tile_ + index);
    const std::size_t channels = input_.channels();
    const auto top = static_cast<std::ptrdiff_t>(tile.y) - padding_.top();
    const auto left = static_cast<std::ptrdiff_t>(tile.x) - padding_.left();
    const bool inside = top >= 0 && left >= 0 &&
                        top + std::ptrdiff_t{kWinogradPatchSide} <= input_.height() &&
                        left + std::ptrdiff_t{kWinogradPatchSide} <= input_.width();
    const float* picture = input_data_ + tile.picture * element_count(input_);
    const std::size_t panel = panel_of(index);
    const std::size_t begin = panel_begin(panel);
    const std::size_t rows = panel_begin(panel + 1) - begin;
    float* values = values_ + begin * depth_ + (index - begin) * kGemmDepthBlock;
    const kernels::WinogradPatch patch{std::size_t{input_.width()} * channels, channels};
    for (std::size_t channel = 0; channel < depth_; channel += kGemmDepthBlock) {
      if (inside && channel + kGemmDepthBlock <= channels) {
        const float* pixels =
            picture +
            (static_cast<std::size_t>(top) * input_.width() + static_cast<std::size_t>(left)) *
                channels +
            channel;
        table_.winograd_input(patch, pixels, values + channel * rows, values_stride_);
      } else {
        transform_edge(picture, top, left, channel, values + channel * rows);
      }
    }
  }

  // A patch that reaches over the picture's edge, or has fewer channels than a call takes.
  void transform_edge(const float* picture, std::ptrdiff_t top, std::ptrdiff_t left,
                      std::size_t channel, float* values) const {
    constexpr std::size_t kRow = kWinogradPatchSide * kWinogradChannels;
    alignas(64) float pixels[kWinogradPatchSide * kRow] = {};
    const std::size_t count = std::min(kWinogradChannels, input_.channels() - channel);
    for (std::size_t y = 0; y < kWinogradPatchSide; ++y) {
      const std::ptrdiff_t source_y = top + static_cast<std::ptrdiff_t>(y);
      if (source_y < 0 || source_y >= std::ptrdiff_t{input_.height()}) continue;
      for (std::size_t x = 0; x < kWinogradPatchSide; ++x) {
        const std::ptrdiff_t source_x = left + static_cast<std::ptrdiff_t>(x);
        if (source_x < 0 || source_x >= std::ptrdiff_t{input_.width()}) continue;
        const auto pixel = static_cast<std::size_t>(source_y * input_.width() + source_x);
        std::memcpy(pixels + y * kRow + x * kWinogradChannels,
                    picture + pixel * input_.channels() + channel, count * sizeof(float));
      }
    }
    table_.winograd_input({kRow, kWinogradChannels}, pixels, values, values_stride_);
  }

  void multiply_position(std::size_t position) const {
    const float* values = values_ + position * values_stride_;
    float* products = products_ + position * products_stride_;
    const float* weights = weights_ + position * depth_ * columns_;
    const std::size_t panel_floats = table_.gemm_columns * depth_;
    for (std::size_t column = 0; column < columns_; column += table_.gemm_columns) {
      for (std::size_t panel = 0; panel < panels_; ++panel) {
        const std::size_t begin = panel_begin(panel);
        // The last rows are multiplied from the caches: time to fetch the next columns' weights.
        const float* next = panel + 1 == panels_ ? weights + panel_floats : weights;
        table_.gemm(panel_begin(panel + 1) - begin, depth_ / kGemmDepthBlock,
                    values + begin * depth_, weights, next, products + begin * columns_ + column,
                    columns_);
      }
      weights += panel_floats;
    }
  }

  void transform_tile_output(std::size_t index) const {
    const Tile tile = tile_at(first_tile_ + index);
    const std::size_t channels = output_.channels();
    const std::size_t rows = std::min<std::size_t>(kWinogradOutputSide, output_.height() - tile.y);
    const std::size_t columns =
        std::min<std::size_t>(kWinogradOutputSide, output_.width() - tile.x);
    const bool whole = rows == kWinogradOutputSide && columns == kWinogradOutputSide;
    float* pixels = output_data_ + tile.picture * element_count(output_) +
                    (tile.y * output_.width() + tile.x) * channels;
    const float* products = products_ + index * columns_;
    const kernels::WinogradPatch patch{std::size_t{output_.width()} * channels, channels};
    for (std::size_t channel = 0; channel < channels; channel += kWinogradChannels) {
      if (whole && channel + kWinogradChannels <= channels) {
        table_.winograd_output(products + channel, products_stride_, patch, bias() + channel,
                               clamp_.minimum, clamp_.maximum, pixels + channel);
      } else {
        write_edge(products + channel, channel, rows, columns, patch, pixels + channel);
      }
    }
  }

  void write_edge(const float* products, std::size_t channel, std::size_t rows, std::size_t columns,
                  const kernels::WinogradPatch& patch, float* pixels) const {
    constexpr std::size_t kRow = kWinogradOutputSide * kWinogradChannels;
    alignas(64) float whole[kWinogradOutputSide * kRow];
    table_.winograd_output(products, products_stride_, {kRow, kWinogradChannels}, bias() + channel,
                           clamp_.minimum, clamp_.maximum, whole);
    const std::size_t count = std::min(kWinogradChannels, output_.channels() - channel);
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        std::memcpy(pixels + y * patch.row_stride + x * patch.pixel_stride,
                    whole + y * kRow + x * kWinogradChannels, count * sizeof(float));
      }
    }
  }

  // Packed behind the weights, filled up with zeros.
  [[nodiscard]] const float* bias() const {
    return weights_ + kWinogradPositions * depth_ * columns_;
  }

  const kernels::KernelTable& table_;
  fbs::Shape input_;
  fbs::Shape output_;
  fbs::Padding padding_;
  ClampRange clamp_;
  const float* weights_;
  std::size_t depth_;    // input channels, filled up
  std::size_t columns_;  // output channels, filled up
  std::size_t tiles_across_;
  std::size_t tiles_down_;

  std::size_t tile_count_ = 0;
  std::size_t block_tiles_ = 0;
  std::size_t values_stride_ = 0;    // floats between two positions
  std::size_t products_stride_ = 0;  // floats between two positions
  const float* input_data_ = nullptr;
  float* output_data_ = nullptr;
  float* values_ = nullptr;    // [position][panel][depth / 16][tile of panel][16]
  float* products_ = nullptr;  // [position][tile][columns_]

  // The block of tiles that run() is at.
  std::size_t first_tile_ = 0;
  std::size_t tiles_ = 0;
  std::size_t panels_ = 0;
};

// In place, an op saves the smaller of its tensors where the arena is fullest, and XNNPACK's
// pointers to every pixel; what its weights grow by stays for good.
bool takes_little_memory(const OpSpec& spec) {
  constexpr std::size_t kShare = 4;
  const std::size_t tensor = std::min(element_count(spec.inputs[0]), element_count(spec.output));
  const std::size_t direct =
      std::size_t{9} * spec.inputs[0].channels() * spec.output.channels() * sizeof(float);
  return winograd_weight_bytes(spec, kernels::active_kernels().gemm_columns) <=
         direct + tensor * sizeof(float) / kShare;
}

}  // namespace

bool winograd_pays(const OpSpec& spec) {
  const fbs::Conv2D& conv = *spec.op->options_as_Conv2D();
  const fbs::Window& window = *conv.window();
  const fbs::Padding& padding = *conv.padding();
  const bool fits =
      window.height() == 3 && window.width() == 3 && window.stride_height() == 1 &&
      window.stride_width() == 1 && window.dilation_height() == 1 && window.dilation_width() == 1 &&
      conv.groups() == 1 &&
      std::max({padding.top(), padding.right(), padding.bottom(), padding.left()}) <= 1;
  constexpr std::uint32_t kFewestChannels = 16;
  return fits && !spec.on_int8() && spec.inputs[0].channels() >= kFewestChannels &&
         spec.output.channels() >= kFewestChannels &&
         (spec.preference == Preference::kSpeed || takes_little_memory(spec));
}

OpResult create_winograd_conv2d(const OpSpec& spec, const kernels::KernelTable& table) {
  CLEAVE_ASSIGN_OR_RETURN(const float* weights, winograd_weights(spec, table.gemm_columns));
  return OpResult(std::make_unique<WinogradConv2D>(spec, table, weights));
}

}  // namespace cleave::ops
