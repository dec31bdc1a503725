// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "planner/policies.h"
#include "tests/hil/network_table.h"

namespace cleave::study {
namespace {

constexpr std::array<std::uint64_t, 5> kStageChannels = {32, 64, 128, 256, 512};
constexpr std::uint64_t kInputSide = 224, kInputChannels = 3, kClasses = 1000;

// The tensor that the next layer reads.
struct Feature {
  std::uint64_t side = kInputSide;
  std::uint64_t channels = kInputChannels;

  [[nodiscard]] std::uint64_t elements() const { return side * side * channels; }
  [[nodiscard]] std::uint64_t bytes() const { return elements() * sizeof(float); }
};

// A layer that turns `in` into `out`; `window` 0: no weights.
LayerCost layer_cost(const Feature& in, const Feature& out, std::uint64_t window) {
  const std::uint64_t kernel = window * window * in.channels * out.channels;
  const std::uint64_t biases = window == 0 ? 0 : out.channels;
  return {.multiply_adds = kernel * out.side * out.side,
          .weight_bytes = (kernel + biases) * sizeof(float),
          .activation_bytes = in.bytes() + out.bytes(),
          .boundary_bytes = out.bytes()};
}

// `first`: of the whole network.
LayerCost append_drawn(Feature& feature, std::size_t stage, bool first, planner::SplitMix64& draw) {
  const std::uint64_t channels = kStageChannels[stage] * (24 + draw.below(17)) / 32;
  const std::uint64_t kind = draw.below(4);
  const Feature in = feature;
  const bool activation = kind == 3 && !first;
  if (!activation) feature.channels = channels;
  const std::uint64_t window = activation ? 0 : (kind == 2 && !first ? 1 : 3);
  return layer_cost(in, feature, window);
}

LayerCost append_pool(Feature& feature) {
  const Feature in = feature;
  feature.side /= 2;
  return layer_cost(in, feature, 0);
}

}  // namespace

NetworkTable synthetic_table(std::size_t layers) {
  planner::SplitMix64 draw(layers);
  Feature feature;
  NetworkTable table{
      .name = std::to_string(layers) + " layers", .input_bytes = feature.bytes(), .layers = {}};
  const std::size_t features = layers - 2;
  for (std::size_t stage = 0; stage < kStageChannels.size(); ++stage) {
    const std::size_t stages = kStageChannels.size();
    const std::size_t length = features / stages + (stage < features % stages ? 1 : 0);
    for (std::size_t i = 0; i < length; ++i) {
      const bool pool = stage > 0 && i == 0;
      table.layers.push_back(pool ? append_pool(feature)
                                  : append_drawn(feature, stage, stage + i == 0, draw));
    }
  }
  const Feature pooled{.side = 1, .channels = feature.channels};
  const Feature scores{.side = 1, .channels = kClasses};
  table.layers.push_back(layer_cost(feature, pooled, 0));
  table.layers.push_back(layer_cost(pooled, scores, 1));
  return table;
}

}  // namespace cleave::study
