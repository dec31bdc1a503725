// SPDX-License-Identifier: Apache-2.0
//
// Equalized networks compute what they did before, in f32, on values that calibration saw; the
// channels between a convolution and a depthwise one move towards one range, all others stay.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/importer/equalize.h"
#include "engine/importer/quantize.h"
#include "tests/engine/importer/int8_support.h"
#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::test::calibrated;
using cleave::test::compiled;
using cleave::test::generated_input;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::relative_error;

namespace {

void check_same_function(const Graph& before, const Graph& after) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    const std::vector<float> input = generated_input(before, seed);
    CHECK(relative_error(interpret(before, input), interpret(after, input)) < 1e-5);
  }
}

// The convolution's channel c times 0.5^c: far from one another, as folded batch norms leave them.
void spread_channels(Node& node, std::size_t channels) {
  const std::size_t inner = node.kernel.size() / channels;
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.kernel[i] = std::ldexp(node.kernel[i], -static_cast<int>(i / inner));
  }
  for (std::size_t c = 0; c < node.bias.size(); ++c) {
    node.bias[c] = std::ldexp(node.bias[c], -static_cast<int>(c));
  }
}

// Biases that are neither zero nor alike, which the builder's depthwise convolutions do without.
void give_bias(Node& depthwise, std::size_t channels) {
  for (std::size_t c = 0; c < channels; ++c) {
    depthwise.bias.push_back(0.1F * static_cast<float>(c + 1));
  }
}

// A stem of 6 channels and what `rest` puts behind it, with the stem's channels spread.
Graph behind_stem(const std::function<ValueId(GraphBuilder&, ValueId)>& rest,
                  float highest = std::numeric_limits<float>::infinity()) {
  GraphBuilder b({12, 12, 3});
  const ValueId stem = b.clamp(b.conv2d(b.input(), 6, 3, 1), 0, highest);
  Graph g = compiled(b.finish(rest(b, stem)));
  spread_channels(g.nodes[0], 6);
  return g;
}

ValueId depthwise_and_project(GraphBuilder& b, ValueId from) {
  return b.conv2d(b.relu(b.depthwise(from, 1, 3, 1)), 4, 1);
}

bool same_weights(const Node& a, const Node& b) { return a.kernel == b.kernel && a.bias == b.bias; }

// Largest over smallest of the channels' extents.
float spread_of(const std::vector<ChannelRange>& channels) {
  float least = std::numeric_limits<float>::infinity();
  float most = 0;
  for (const ChannelRange& channel : channels) {
    const float extent = std::max(channel.range.maximum, -channel.range.minimum);
    least = std::min(least, extent);
    most = std::max(most, extent);
  }
  return most / least;
}

}  // namespace

TEST_CASE("expand, depthwise, project: the same function, with channels of like ranges") {
  Graph g = behind_stem(depthwise_and_project);
  give_bias(g.nodes[1], 6);
  Graph equalized = g;
  const Calibration before = calibrated(g);
  REQUIRE(equalize(equalized, before));
  check_same_function(g, equalized);
  const ValueId expanded = g.nodes[0].output;
  const Calibration after = calibrated(equalized);
  CHECK(spread_of(before.channels[expanded]) >= 3.9F * spread_of(after.channels[expanded]));
  CHECK(after.ranges[expanded].maximum <= before.ranges[expanded].maximum * 1.05F);
  // The depthwise output is read by a 1 x 1 convolution, whose kernel would be rounded coarser.
  CHECK_FALSE(same_weights(g.nodes[1], equalized.nodes[1]));
  CHECK(g.nodes[1].bias == equalized.nodes[1].bias);
  CHECK(same_weights(g.nodes[2], equalized.nodes[2]));
}

TEST_CASE("a clamp cuts off nothing that calibration saw") {
  const Graph unclamped = behind_stem(depthwise_and_project);
  const ValueId expanded = unclamped.nodes[0].output;
  const float highest = calibrated(unclamped).ranges[expanded].maximum * 0.6F;
  const Graph g = behind_stem(depthwise_and_project, highest);
  Graph equalized = g;
  REQUIRE(equalize(equalized, calibrated(g)));
  CHECK(equalized.nodes[0].clamp_max == highest);
  check_same_function(g, equalized);
  const Calibration after = calibrated(equalized);
  for (std::size_t c = 0; c < 6; ++c) {
    const bool moved = equalized.nodes[0].bias[c] != g.nodes[0].bias[c];
    if (moved) CHECK(after.channels[expanded][c].range.maximum <= highest * 0.76F);
  }
}

TEST_CASE("depthwise behind depthwise, several readers, and a multiplier") {
  const auto rest = [](GraphBuilder& b, ValueId stem) {
    const ValueId doubled = b.depthwise(stem, 2, 3, 1);
    const ValueId left = b.depthwise(doubled, 1, 3, 1);
    const ValueId right = b.depthwise(doubled, 3, 3, 1);
    return b.conv2d(b.node(NodeKind::kConcat, {left, right}), 4, 1);
  };
  const Graph g = behind_stem(rest);
  Graph equalized = g;
  REQUIRE(equalize(equalized, calibrated(g)));
  check_same_function(g, equalized);
  for (std::size_t node = 0; node < 4; ++node) {
    CHECK_FALSE(same_weights(g.nodes[node], equalized.nodes[node]));
  }
  CHECK(same_weights(g.nodes.back(), equalized.nodes.back()));
}

TEST_CASE("a residual block's sums stay, its expansion is equalized") {
  const auto rest = [](GraphBuilder& b, ValueId stem) {
    const ValueId expanded = b.relu(b.conv2d(stem, 12, 1));
    const ValueId projected = b.conv2d(b.relu(b.depthwise(expanded, 1, 3, 1)), 6, 1);
    return b.conv2d(b.node(NodeKind::kAdd, {projected, stem}), 4, 1);
  };
  Graph g = behind_stem(rest);
  spread_channels(g.nodes[1], 12);
  Graph equalized = g;
  REQUIRE(equalize(equalized, calibrated(g)));
  check_same_function(g, equalized);
  const std::vector<bool> moved{false, true, true, false, false, false};
  REQUIRE(g.nodes.size() == moved.size());
  for (std::size_t node = 0; node < moved.size(); ++node) {
    CAPTURE(node);
    CHECK(same_weights(g.nodes[node], equalized.nodes[node]) == !moved[node]);
  }
}

TEST_CASE("what cannot be scaled stays, bit for bit") {
  const std::function<ValueId(GraphBuilder&, ValueId)> refused[] = {
      // Read by a sum, a pool, a concatenation, a convolution beside the depthwise one.
      [](GraphBuilder& b, ValueId stem) {
        return b.node(NodeKind::kAdd, {b.depthwise(stem, 1, 3, 1), stem});
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.depthwise(b.pool(NodeKind::kMaxPool2D, stem, 2, 2), 1, 3, 1);
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.node(NodeKind::kConcat, {b.depthwise(stem, 1, 3, 1), stem});
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.node(NodeKind::kConcat, {b.depthwise(stem, 1, 3, 1), b.conv2d(stem, 3, 1)});
      },
      // Written by what is not linear.
      [](GraphBuilder& b, ValueId stem) {
        return b.depthwise(b.node(NodeKind::kHardSwish, {stem}), 1, 3, 1);
      },
      // Nobody reads it: the output.
      [](GraphBuilder&, ValueId stem) { return stem; },
  };
  for (const auto& rest : refused) {
    const Graph g = behind_stem(rest);
    Graph equalized = g;
    CHECK_FALSE(equalize(equalized, calibrated(g)));
    for (std::size_t node = 0; node < g.nodes.size(); ++node) {
      CHECK(same_weights(g.nodes[node], equalized.nodes[node]));
    }
  }
}

TEST_CASE("the network's input, a clamp away from zero and unknown channels are left alone") {
  GraphBuilder b({12, 12, 3});
  const Graph first = compiled(b.finish(b.depthwise(b.input(), 1, 3, 1)));
  Graph equalized = first;
  CHECK_FALSE(equalize(equalized, calibrated(first)));
  Graph clamped = behind_stem(depthwise_and_project);
  clamped.nodes[0].clamp_min = 0.01F;
  CHECK_FALSE(equalize(clamped, calibrated(clamped)));
  Graph unknown = behind_stem(depthwise_and_project);
  Calibration calibration = calibrated(unknown);
  for (auto& channels : calibration.channels) channels.clear();
  CHECK_FALSE(equalize(unknown, calibration));
}

TEST_CASE("a factor keeps both ends of a channel within the value's range") {
  const Graph g = behind_stem(depthwise_and_project);
  Calibration calibration = calibrated(g);
  const ValueId expanded = g.nodes[0].output;
  calibration.ranges[expanded] = {-2, 1};
  const auto factor_of = [&](ValueRange channel) {
    calibration.channels[expanded].assign(6, {{-2, 1}, 0});
    calibration.channels[expanded][3].range = channel;
    Graph equalized = g;
    equalize(equalized, calibration);
    return equalized.nodes[0].bias[3] / g.nodes[0].bias[3];
  };
  CHECK(factor_of({-2, 0.01F}) == 1);
  CHECK(factor_of({-0.01F, 1}) == 1);
  CHECK(factor_of({-1, 0.01F}) == doctest::Approx(1.5));
  CHECK(factor_of({-0.01F, 0.5F}) == doctest::Approx(1.5));
  CHECK(factor_of({-0.01F, 0.01F}) == doctest::Approx(4));
  CHECK(factor_of({0, 0}) == 1);
}

TEST_CASE("scales along another axis of a kernel are dropped, not written beyond") {
  struct Odd {
    std::size_t node;
    int axis;
  };
  // Each axis has three entries: height, inputs, width.
  for (const Odd& odd : {Odd{0, 1}, Odd{0, 3}, Odd{1, 1}}) {
    Graph g = behind_stem(depthwise_and_project);
    g.nodes[odd.node].kernel_quantization = {
        QuantizationParameters::Type::kS8, {0.1F, 0.2F, 0.3F}, {0, 0, 0}, odd.axis};
    Graph equalized = g;
    REQUIRE(equalize(equalized, calibrated(g)));
    CHECK(equalized.nodes[odd.node].kernel_quantization.empty());
    check_same_function(g, equalized);
  }
}

TEST_CASE("kernels that came with int8 scales keep their integers") {
  Graph g = behind_stem(depthwise_and_project);
  for (const std::size_t node : {0U, 1U}) {
    Node& n = g.nodes[node];
    const float scale = 0.01F;
    for (float& k : n.kernel) k = scale * std::clamp(std::nearbyint(k / scale), -127.0F, 127.0F);
    n.kernel_quantization = {QuantizationParameters::Type::kS8, {scale}, {0}, -1};
  }
  g.nodes[0].bias_quantization = {QuantizationParameters::Type::kS32, {0.001F}, {0}, -1};
  g.nodes[0].kernel[5] = 0.37F;
  Graph equalized = g;
  REQUIRE(equalize(equalized, calibrated(g)));
  CHECK(equalized.nodes[0].bias_quantization.empty());  // its grid is another now
  const Graph held = *quantize(equalized, calibrated(equalized), ScaleSource::kRangesOnly);
  const auto of_kind = [&](NodeKind kind) {
    return *std::ranges::find_if(held.nodes, [&](const Node& n) { return n.kind == kind; });
  };
  const Node conv = of_kind(NodeKind::kConv2D);
  const Node depthwise = of_kind(NodeKind::kDepthwiseConv2D);
  CHECK(conv.kernel_quantization.scale.size() == 6);
  for (std::size_t i = 0; i < conv.int8_kernel.size(); ++i) {
    CHECK(conv.int8_kernel[i] == static_cast<int>(std::lround(g.nodes[0].kernel[i] / 0.01F)));
  }
  for (std::size_t i = 0; i < depthwise.int8_kernel.size(); ++i) {
    CHECK(depthwise.int8_kernel[i] == static_cast<int>(std::lround(g.nodes[1].kernel[i] / 0.01F)));
  }
}
