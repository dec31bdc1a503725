// SPDX-License-Identifier: Apache-2.0
//
// Biases that take back what rounding a kernel moves the mean of its outputs by, and that pictures
// bring that and equalized channels.
#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/importer/equalize.h"
#include "engine/importer/quantize.h"
#include "engine/importer/variants.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/engine/importer/int8_support.h"
#include "tests/support/graph_builder.h"
#include "tests/support/temporary_folder.h"

using namespace cleave::importer;
using cleave::test::calibrated;
using cleave::test::compiled;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::TemporaryFolder;

namespace {

const Node& held_node(const Graph& q) {
  return *std::ranges::find_if(q.nodes, [](const Node& n) { return !n.int8_kernel.empty(); });
}

// The graph of one node with the kernel and bias that its int8 form holds, as real numbers.
Graph as_held(const Graph& exact, const Node& held, float input_scale) {
  Graph graph = exact;
  Node& node = graph.nodes[0];
  const std::size_t channels = graph.values[graph.output].shape.channels;
  const bool depthwise = node.kind == NodeKind::kDepthwiseConv2D;
  const std::size_t inner = depthwise ? 1 : node.kernel.size() / channels;
  const std::vector<float>& scales = held.kernel_quantization.scale;
  for (std::size_t i = 0; i < node.kernel.size(); ++i) {
    node.kernel[i] = scales[i / inner % channels] * static_cast<float>(held.int8_kernel[i]);
  }
  node.bias = held.bias;
  for (std::size_t c = 0; c < held.int32_bias.size(); ++c) {
    node.bias.push_back(static_cast<float>(held.int32_bias[c]) * input_scale * scales[c]);
  }
  return graph;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// On a picture whose channels are their means everywhere, a corrected node computes what the exact
// one does, but for the rounding of an int32 bias.
void check_correction(Graph g) {
  REQUIRE(compile(g).is_ok());
  const Hwc& shape = g.values[g.input].shape;
  std::vector<ChannelRange> channels;
  for (std::size_t c = 0; c < shape.channels; ++c) {
    channels.push_back({{0, 10}, static_cast<float>(c % 7)});
  }
  std::vector<float> picture;
  for (std::size_t i = 0; i < std::size_t{shape.height} * shape.width * shape.channels; ++i) {
    picture.push_back(channels[i % shape.channels].mean);
  }
  const std::vector<float> expected = interpret(g, picture);
  const Calibration known{{{0, 10}, {-10, 10}}, {channels, {}}};
  const Calibration unknown{{{0, 10}, {-10, 10}}, {{}, {}}};
  const Graph corrected = *quantize(g, known, ScaleSource::kRangesOnly);
  const Graph plain = *quantize(g, unknown, ScaleSource::kRangesOnly);
  CHECK(held_node(plain).int8_kernel == held_node(corrected).int8_kernel);
  const auto difference = [&](const Graph& q) {
    return largest_difference(interpret(as_held(g, held_node(q), 10.0F / 255), picture), expected);
  };
  CHECK(difference(corrected) < 2e-4F);
  CHECK(difference(plain) > 1e-3F);
}

// Of what `--int8 --calibrate` makes of the graph.
Graph int8_of(const Graph& g, const std::string& folder) {
  const auto variants = Variants::make(g, {.int8 = true, .calibration_folder = folder});
  REQUIRE_MESSAGE(variants.is_ok(), variants.status().message());
  return *variants->list().at(1).graph;
}

bool same_integers(const Graph& a, const Graph& b) {
  return std::ranges::equal(a.nodes, b.nodes, [](const Node& x, const Node& y) {
    return x.int8_kernel == y.int8_kernel && x.int32_bias == y.int32_bias && x.bias == y.bias &&
           x.kernel_quantization.scale == y.kernel_quantization.scale;
  });
}

Graph forget_channels_and_quantize(const Graph& g, Calibration calibration) {
  for (auto& channels : calibration.channels) channels.clear();
  return *quantize(g, calibration, ScaleSource::kRangesOnly);
}

}  // namespace

TEST_CASE("the bias takes back what rounding the kernel moves the mean by, where that is known") {
  GraphBuilder pixel({1, 1, 64});
  check_correction(pixel.finish(pixel.conv2d(pixel.input(), 4, 1)));
  GraphBuilder grouped({4, 4, 8});
  check_correction(grouped.finish(grouped.conv2d(grouped.input(), 6, 3, 0, 2)));
  GraphBuilder depthwise({4, 4, 8});
  check_correction(depthwise.finish(depthwise.depthwise(depthwise.input(), 2, 3)));
}

TEST_CASE("pictures equalize and correct biases, with depthwise convolutions or without") {
  const TemporaryFolder folder;
  const cleave::test::Pixels pixels = cleave::test::pattern(12, 12, 3, 5);
  const auto png =
      cleave::test::make_png({.width = 12, .height = 12}, cleave::test::rows_of(pixels, 12, 3));
  const std::string picture = folder / "a.png";
  std::ofstream(picture, std::ios::binary)
      .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  const auto by_picture = [&](const Graph& g) {
    return *calibrate(*build_model_file(g), std::vector{picture});
  };
  for (const bool with_depthwise : {true, false}) {
    CAPTURE(with_depthwise);
    GraphBuilder b({12, 12, 3});
    ValueId x = b.relu(b.conv2d(b.input(), 6, 3, 1));
    x = with_depthwise ? b.depthwise(x, 1, 3, 1) : b.conv2d(x, 6, 3, 1);
    const Graph g = compiled(b.finish(b.conv2d(b.relu(x), 4, 3)));
    Graph equalized = g;
    CHECK(equalize(equalized, by_picture(g)));
    const Graph made = int8_of(g, folder.path().string());
    const Graph corrected = *quantize(equalized, by_picture(equalized), ScaleSource::kRangesOnly);
    const Graph plain = forget_channels_and_quantize(equalized, by_picture(equalized));
    CHECK(same_integers(made, corrected));
    CHECK_FALSE(same_integers(corrected, plain));
  }
}
