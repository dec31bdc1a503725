// SPDX-License-Identifier: Apache-2.0
//
// Equalized networks compute what they did before, in f32, on values that calibration saw; channels
// move towards one range where kernels at both ends can take up the factors, all others stay.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/importer/channel_groups.h"
#include "engine/importer/equalize.h"
#include "engine/importer/quantize.h"
#include "engine/importer/rounding_noise.h"
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
  CHECK_FALSE(same_weights(g.nodes[1], equalized.nodes[1]));
  CHECK(g.nodes[2].bias == equalized.nodes[2].bias);  // nobody takes up what the output is
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
    if (moved) CHECK(after.channels[expanded][c].range.maximum < highest);
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
}

TEST_CASE("sums, concatenations, pools and clamps share factors between kernels") {
  const std::function<ValueId(GraphBuilder&, ValueId)> passed[] = {
      // A residual block: the stem, the projection and the sum go together.
      [](GraphBuilder& b, ValueId stem) {
        const ValueId expanded = b.relu(b.conv2d(stem, 12, 1));
        const ValueId projected = b.conv2d(b.relu(b.depthwise(expanded, 1, 3, 1)), 6, 1);
        return b.conv2d(b.node(NodeKind::kAdd, {projected, stem}), 4, 1);
      },
      // Read twice, and at another place among the channels.
      [](GraphBuilder& b, ValueId stem) {
        const ValueId joined = b.node(NodeKind::kConcat, {b.conv2d(stem, 3, 1), stem});
        return b.conv2d(joined, 4, 1);
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.conv2d(b.relu(b.pool(NodeKind::kMaxPool2D, stem, 2, 2)), 4, 3, 1);
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.fully_connected(b.pool(NodeKind::kAveragePool2D, stem, 2, 2), 4);
      },
      [](GraphBuilder& b, ValueId stem) {
        return b.fully_connected(b.node(NodeKind::kGlobalAveragePool, {stem}), 4);
      },
      [](GraphBuilder& b, ValueId stem) { return b.conv2d(stem, 4, 3, 1, 2); },
  };
  for (const auto& rest : passed) {
    Graph g = behind_stem(rest);
    Graph equalized = g;
    REQUIRE(equalize(equalized, calibrated(g)));
    CHECK_FALSE(same_weights(g.nodes[0], equalized.nodes[0]));
    check_same_function(g, equalized);
  }
}

TEST_CASE("what a sum joins gets one factor for each channel, a concatenation one for each place") {
  const auto rest = [](GraphBuilder& b, ValueId stem) {
    const ValueId sum = b.node(NodeKind::kAdd, {b.conv2d(stem, 6, 1), stem});
    return b.conv2d(b.node(NodeKind::kConcat, {b.conv2d(sum, 2, 1), sum}), 4, 1);
  };
  const Graph g = behind_stem(rest);
  const ChannelGroups groups(g);
  const ValueId stem = g.nodes[0].output;
  const Node& sum = *std::ranges::find(g.nodes, NodeKind::kAdd, &Node::kind);
  const Node& joined = *std::ranges::find(g.nodes, NodeKind::kConcat, &Node::kind);
  for (std::size_t c = 0; c < 6; ++c) {
    CHECK(groups.group_of(stem, c) == groups.group_of(sum.output, c));
    CHECK(groups.group_of(stem, c) == groups.group_of(joined.output, c + 2));
    CHECK(groups.is_free(groups.group_of(stem, c)));
    CHECK_FALSE(groups.is_free(groups.group_of(g.input, c % 3)));
  }
  CHECK(groups.group_of(stem, 0) != groups.group_of(stem, 1));
  CHECK(groups.group_of(joined.output, 0) != groups.group_of(stem, 0));
  CHECK(groups.component_of(joined.output) == groups.component_of(stem));
  CHECK(groups.component_of(g.output) != groups.component_of(stem));
}

TEST_CASE("what cannot be scaled stays, bit for bit") {
  const std::function<ValueId(GraphBuilder&, ValueId)> refused[] = {
      // Read by what is not linear, itself or behind a sum and a pool.
      [](GraphBuilder& b, ValueId stem) { return b.node(NodeKind::kHardSwish, {stem}); },
      [](GraphBuilder& b, ValueId stem) {
        const ValueId sum = b.node(NodeKind::kAdd, {stem, b.node(NodeKind::kSigmoid, {stem})});
        return b.conv2d(b.pool(NodeKind::kMaxPool2D, sum, 2, 2), 4, 1);
      },
      [](GraphBuilder& b, ValueId stem) {
        const ValueId pooled = b.pool(NodeKind::kMaxPool2D, stem, 2, 2);
        return b.conv2d(b.node(NodeKind::kHardSwish, {pooled}), 4, 1);
      },
      // The output, or a part of it.
      [](GraphBuilder&, ValueId stem) { return stem; },
      [](GraphBuilder& b, ValueId stem) {
        return b.node(NodeKind::kConcat, {b.depthwise(stem, 1, 3, 1), stem});
      },
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
  const Node before = clamped.nodes[0];
  equalize(clamped, calibrated(clamped));
  CHECK(same_weights(before, clamped.nodes[0]));
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
    calibration.channels[expanded][3].foretold = channel;
    Graph equalized = g;
    equalize(equalized, calibration);
    return equalized.nodes[0].bias[3] / g.nodes[0].bias[3];
  };
  CHECK(factor_of({-2, 0.01F}) == 1);
  CHECK(factor_of({-0.01F, 1}) == 1);
  CHECK(factor_of({-1, 0.01F}) == doctest::Approx(2));
  CHECK(factor_of({-0.01F, 0.5F}) == doctest::Approx(2));
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

TEST_CASE("noise is foretold from steps, kernels and factors") {
  GraphBuilder b({1, 1, 3});
  Graph g = compiled(b.finish(b.conv2d(b.conv2d(b.input(), 2, 1), 1, 1)));
  const Node& reader = g.nodes[1];
  g.nodes[1].kernel = {2, 4};
  Calibration calibration{{{0, 0}, {0, 255}, {0, 1}}, {{}, {}, {}}};
  calibration.channels[g.nodes[0].output] = {{{0, 255}, 100, 3, 1.0F}, {{0, 255}, 100, 1, 0.5F}};
  calibration.channels[reader.output] = {{{0, 1}, 0, 2}};
  const auto noise = [&](const std::vector<float>& factors) {
    return RoundingNoise(g, calibration).of_node(reader, factors);
  };
  // Steps of 1 in values that are rounded always and every other time; a kernel of steps of 4/127.
  const auto expected = [](double w0, double w1, double s0, double s1) {
    const double step = std::max(w0, w1) / 127;
    const double kernel = 10 * step * step / 12 * (9 * s0 * s0 + s1 * s1);
    return ((w0 * w0 + 0.5 * w1 * w1) / 12 + kernel) / 4;
  };
  CHECK(noise({1, 1}) == doctest::Approx(expected(2, 4, 1, 1)));
  CHECK(noise({1, 4}) == doctest::Approx(expected(2, 1, 1, 4)));
  // A kernel that stays the source's integers loses nothing; one that is divided does.
  g.nodes[1].kernel_quantization = {QuantizationParameters::Type::kS8, {0.5F}, {0}, -1};
  CHECK(noise({1, 1}) == doctest::Approx((4 + 0.5 * 16) / 12 / 4));
  CHECK(noise({2, 1}) == doctest::Approx(expected(1, 4, 2, 1)));
}
