// SPDX-License-Identifier: Apache-2.0
//
// The int8 and f16 variants: where values are converted, whose scales hold, and that the engine
// computes nearly what the f32 network does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/executor.h"
#include "engine/importer/channel_statistics.h"
#include "engine/importer/quantize.h"
#include "engine/importer/value_histogram.h"
#include "engine/importer/variants.h"
#include "tests/engine/importer/int8_support.h"
#include "tests/support/graph_builder.h"
#include "tests/support/temporary_folder.h"

using namespace cleave::importer;
using cleave::ModelFile;
using cleave::StatusCode;
using cleave::test::calibrated;
using cleave::test::compiled;
using cleave::test::generated_input;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::relative_error;
using cleave::test::seeded_values;
namespace fbs = cleave::fbs;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A stem, a residual block, two branches that are concatenated, a pool, a classifier.
Graph float_network() {
  GraphBuilder b({16, 16, 3});
  const ValueId stem = b.relu(b.conv2d(b.input(), 8, 3, 1));
  const ValueId block = b.conv2d(b.depthwise(stem, 1, 3, 1), 8, 1);
  const ValueId sum = b.node(NodeKind::kAdd, {block, stem});
  const ValueId left = b.relu(b.conv2d(sum, 4, 1));
  const ValueId right = b.pool(NodeKind::kMaxPool2D, sum, 3, 1, 1);
  const ValueId joined = b.node(NodeKind::kConcat, {left, right});
  const ValueId swished = b.node(NodeKind::kHardSwish, {b.conv2d(joined, 8, 1)});
  const ValueId pooled = b.node(NodeKind::kGlobalAveragePool, {b.conv2d(swished, 8, 3)});
  return compiled(b.finish(b.fully_connected(pooled, 5)));
}

Graph quantized(const Graph& g, ScaleSource scales = ScaleSource::kSourceFirst) {
  auto result = quantize(g, calibrated(g), scales);
  REQUIRE_MESSAGE(result.is_ok(), result.status().message());
  return std::move(*result);
}

std::size_t count_of(const Graph& g, NodeKind kind) {
  return static_cast<std::size_t>(
      std::ranges::count_if(g.nodes, [&](const Node& n) { return n.kind == kind; }));
}

const Node& find(const Graph& g, NodeKind kind) {
  return *std::ranges::find_if(g.nodes, [&](const Node& n) { return n.kind == kind; });
}

bool same_scale(const Value& a, const Value& b) {
  return a.quantization.scale == b.quantization.scale &&
         a.quantization.zero_point == b.quantization.zero_point;
}

std::vector<float> run_variant(const std::shared_ptr<const ModelFile>& file, std::uint32_t variant,
                               const std::vector<float>& input) {
  const cleave::OpIndex ops = file->header().variants()->Get(variant)->ops()->size();
  auto weights = cleave::Weights::create(file, variant, {0, ops});
  REQUIRE_MESSAGE(weights.is_ok(), weights.status().message());
  auto executor = cleave::Executor::create(*weights, {});
  REQUIRE_MESSAGE(executor.is_ok(), executor.status().message());
  REQUIRE((*executor)->prepare({0, ops}, 1).is_ok());
  std::ranges::copy(input, (*executor)->inputs()[0].f32().begin());
  REQUIRE((*executor)->run().is_ok());
  const auto scores = (*executor)->outputs()[0].f32();
  return {scores.begin(), scores.end()};
}

std::shared_ptr<const ModelFile> all_variants(const Graph& g) {
  const auto variants = Variants::make(g, {.f16 = true, .int8 = true});
  REQUIRE_MESSAGE(variants.is_ok(), variants.status().message());
  const auto bytes = build_model_file(variants->list());
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  const auto file = ModelFile::from_bytes(*bytes, {.verify_segments = true});
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  return *file;
}

}  // namespace

TEST_CASE("conversions stand where f32 meets int8, and nowhere else") {
  const Graph g = float_network();
  const Graph q = quantized(g);
  // The input to int8; into the hard swish and back; the last convolution to the pool.
  CHECK(count_of(q, NodeKind::kConvert) == 4);
  CHECK(q.nodes.size() == g.nodes.size() + 4);
  CHECK(q.layers.size() == g.layers.size());
  CHECK_FALSE(q.values[q.input].held_as_int8);
  CHECK_FALSE(q.values[q.output].held_as_int8);
  for (const Node& node : q.nodes) {
    const bool int8 = q.values[node.output].held_as_int8;
    CAPTURE(node_kind_name(node.kind));
    if (node.kind == NodeKind::kConv2D || node.kind == NodeKind::kDepthwiseConv2D) {
      CHECK(int8);
      CHECK(node.kernel.empty());
      CHECK_FALSE(node.int8_kernel.empty());
      CHECK(node.bias.empty());
    }
    if (node.kind == NodeKind::kHardSwish || node.kind == NodeKind::kFullyConnected) {
      CHECK_FALSE(int8);
    }
  }
  CHECK_FALSE(find(q, NodeKind::kFullyConnected).int8_kernel.empty());
}

TEST_CASE("a concatenation and its inputs, a pool and its input share a scale") {
  const Graph q = quantized(float_network());
  const Node& joined = find(q, NodeKind::kConcat);
  for (const ValueId input : joined.inputs) {
    CHECK(same_scale(q.values[input], q.values[joined.output]));
  }
  const Node& pool = find(q, NodeKind::kMaxPool2D);
  CHECK(same_scale(q.values[pool.inputs[0]], q.values[pool.output]));
}

TEST_CASE("the source's scales hold unless pictures were given") {
  Graph g = float_network();
  const ValueId sum = find(g, NodeKind::kAdd).output;
  using Type = QuantizationParameters::Type;
  g.values[g.nodes[0].output].quantization = {Type::kU8, {0.25F}, {130}, -1};
  const auto scale_of = [&](const Graph& q) { return q.values[q.nodes[1].output].quantization; };
  const Graph from_source = quantized(g);
  CHECK(scale_of(from_source).scale == std::vector{0.25F});
  CHECK(scale_of(from_source).zero_point == std::vector{2});
  CHECK(scale_of(quantized(g, ScaleSource::kRangesOnly)).scale != std::vector{0.25F});
  CHECK(sum != g.nodes[0].output);
}

TEST_CASE("a kernel on the source's grid keeps its integers; one that left it gets scales anew") {
  Graph g = float_network();
  Node& conv = g.nodes[0];
  std::vector<float> scales(8);
  for (std::size_t c = 0; c < scales.size(); ++c) scales[c] = 0.01F * static_cast<float>(c + 1);
  const std::size_t inner = conv.kernel.size() / 8;
  for (std::size_t i = 0; i < conv.kernel.size(); ++i) {
    conv.kernel[i] = scales[i / inner] * static_cast<float>(static_cast<int>(i % 200) - 100);
  }
  conv.kernel_quantization = {QuantizationParameters::Type::kS8, scales,
                              std::vector<std::int32_t>(8, 0), 0};
  const Graph kept = quantized(g);
  CHECK(kept.nodes[1].kernel_quantization.scale == scales);
  CHECK(kept.nodes[1].int8_kernel[5] == -95);
  conv.kernel[7] += 0.4F * scales[0];
  CHECK(quantized(g).nodes[1].kernel_quantization.scale != scales);
}

TEST_CASE("channels of zeros, and biases far beyond their kernel, still have scales") {
  Graph g = float_network();
  Node& conv = g.nodes[0];
  std::fill_n(conv.kernel.begin(), conv.kernel.size() / 8, 0.0F);
  conv.bias[0] = 1e4F;
  const Graph q = quantized(g);
  const float unit = q.values[q.nodes[1].inputs[0]].quantization.scale[0] *
                     q.nodes[1].kernel_quantization.scale[0];
  CHECK(static_cast<float>(q.nodes[1].int32_bias[0]) * unit == doctest::Approx(1e4));
  const auto file = all_variants(g);
  const std::vector<float> input = seeded_values(16 * 16 * 3, 3);
  const std::vector<float> expected = interpret(g, input);
  for (const float score : run_variant(file, 2, input)) CHECK(std::isfinite(score));
  CHECK(expected.size() == 5);
}

TEST_CASE("what cannot be held is refused") {
  Graph g = float_network();
  Calibration seen = calibrated(g);
  seen.ranges[2].maximum = kInfinity;
  CHECK(quantize(g, seen, ScaleSource::kRangesOnly).status().code() == StatusCode::kUnsupported);
  seen.ranges.pop_back();
  CHECK(quantize(g, seen, ScaleSource::kRangesOnly).status().code() == StatusCode::kInternal);
  seen = calibrated(g);
  seen.channels[2].pop_back();
  CHECK(quantize(g, seen, ScaleSource::kRangesOnly).status().code() == StatusCode::kInternal);
  seen = calibrated(g);
  g.nodes[0].kernel[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK(quantize(g, seen, ScaleSource::kRangesOnly).status().code() == StatusCode::kUnsupported);
}

TEST_CASE(
    "ranges of any size, or none, get scales that are numbers; a file of them is made or refused") {
  const Graph g = float_network();
  const Calibration seen = calibrated(g);
  for (const float size : {0.0F, 1e-45F, 1e-40F, 1e-37F, 1e-20F, 1e20F, 1e36F, 3e38F}) {
    for (ValueId value = 0; value < g.values.size(); ++value) {
      CAPTURE(size);
      CAPTURE(value);
      Calibration odd = seen;
      odd.ranges[value] = {-size, size};
      for (ChannelRange& channel : odd.channels[value]) channel = {{-size, size}, size};
      const auto q = quantize(g, odd, ScaleSource::kRangesOnly);
      REQUIRE_MESSAGE(q.is_ok(), q.status().message());
      for (const Value& held : q->values) {
        if (held.held_as_int8) CHECK(std::isnormal(held.quantization.scale.at(0)));
      }
      for (const Node& node : q->nodes) {
        for (const float scale : node.kernel_quantization.scale) CHECK(std::isnormal(scale));
      }
      const VariantGraph int8{"int8", Precision::kInt8, &*q};
      const auto file = build_model_file({&int8, 1});
      if (file.is_ok()) continue;
      CHECK_MESSAGE(file.status().code() == StatusCode::kUnsupported, file.status().message());
    }
  }
}

TEST_CASE("f16 and int8 variants compute nearly what f32 does, within what their bits allow") {
  const Graph g = float_network();
  const auto file = all_variants(g);
  REQUIRE(file->header().variants()->size() == 3);
  CHECK(file->header().variants()->Get(1)->precision() == fbs::Precision::F16);
  CHECK(file->header().variants()->Get(2)->precision() == fbs::Precision::QS8);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    // What the ranges were chosen for, but not seen by calibration.
    const std::vector<float> input = generated_input(g, 100 + seed);
    const std::vector<float> expected = interpret(g, input);
    CHECK(relative_error(expected, run_variant(file, 0, input)) < 1e-5);
    const double f16 = relative_error(expected, run_variant(file, 1, input));
    CHECK(f16 < 2e-3);
    CHECK(f16 > 1e-7);
    const double int8 = relative_error(expected, run_variant(file, 2, input));
    CHECK(int8 < 0.05);
    CHECK(int8 > 1e-5);
  }
}

TEST_CASE("a convolution to one pixel becomes a fully connected layer of the same kernel") {
  GraphBuilder b({4, 4, 3});
  const ValueId wide = b.conv2d(b.input(), 6, 4);
  const ValueId last = b.relu(b.conv2d(wide, 5, 1));
  const Graph g = compiled(b.finish(last));
  const Graph q = quantized(g);
  CHECK(count_of(q, NodeKind::kConv2D) == 0);
  CHECK(count_of(q, NodeKind::kFullyConnected) == 2);
  CHECK(count_of(q, NodeKind::kConvert) == 0);
  const auto file = all_variants(g);
  const std::vector<float> input = seeded_values(4 * 4 * 3, 5);
  const double error = relative_error(interpret(g, input), run_variant(file, 2, input));
  CHECK(error < 0.02);
  CHECK(error > 1e-6);
}

TEST_CASE("a kernel that f16 cannot hold stays f32 in the f16 variant") {
  Graph g = float_network();
  g.nodes[0].kernel[0] = 1e5F;
  const auto file = all_variants(g);
  const auto& ops = *file->header().variants()->Get(1)->ops();
  CHECK(ops.Get(0)->kernel()->dtype() == fbs::DType::F32);
  CHECK(ops.Get(1)->kernel()->dtype() == fbs::DType::F16);
}

TEST_CASE("the same graph gives the same bytes") {
  const Graph g = float_network();
  CHECK(all_variants(g)->identity() == all_variants(g)->identity());
}

TEST_CASE("choices that do not go are named") {
  const Graph g = float_network();
  CHECK(Variants::make(g, {.f32 = false}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Variants::make(g, {.calibration_folder = "x"}).status().code() ==
        StatusCode::kInvalidArgument);
  CHECK(Variants::make(g, {.int8 = true, .calibration_folder = "no such folder"}).status().code() ==
        StatusCode::kNotFound);
  const cleave::test::TemporaryFolder empty;
  CHECK(Variants::make(g, {.int8 = true, .calibration_folder = empty.path().string()})
            .status()
            .code() == StatusCode::kInvalidArgument);
  GraphBuilder b({1, 1, 4});
  Graph vector = b.finish(b.fully_connected(b.input(), 3));
  REQUIRE(compile(vector).is_ok());
  CHECK(Variants::make(vector, {.int8 = true}).status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("what pictures show of channels is counted over all of them") {
  ChannelStatistics channels;
  CHECK(channels.ranges().empty());
  channels.add(std::vector{1.0F, -2.0F, 3.0F, -4.0F}, 2);
  channels.add(std::vector{8.0F, -1.0F}, 2);
  const std::vector<ChannelRange> seen = channels.ranges();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].range.minimum == 0);
  CHECK(seen[0].range.maximum == 8);
  CHECK(seen[0].mean == 4);
  CHECK(seen[1].range.minimum == -4);
  CHECK(seen[1].range.maximum == 0);
  CHECK(seen[1].mean == doctest::Approx(-7.0 / 3));
  CHECK(seen[0].deviation == doctest::Approx(std::sqrt(26.0 / 3)));
  CHECK(seen[0].occupied == 1);
}

TEST_CASE("channels are foretold to go as far beyond what was seen as pictures differ") {
  ChannelStatistics channels;
  for (int picture = 0; picture < 20; ++picture) {
    const auto varies = static_cast<float>(picture % 5);
    channels.add(std::vector{3.0F, -varies, 0.0F, 0.0F, -1.0F, 5.0F}, 3);
  }
  const std::vector<ChannelRange> seen = channels.ranges();
  CHECK(seen[0].foretold.maximum == 3);  // each picture's largest
  CHECK(seen[0].foretold.minimum == 0);
  CHECK(seen[0].occupied == 0.5F);
  CHECK(seen[1].range.minimum == -4);  // the six largest: four of 4, two of 3
  CHECK(seen[1].foretold.minimum == doctest::Approx(-4 - 2 * 4.0 / 5));
  CHECK(seen[2].foretold.maximum == 5);
}

TEST_CASE("values that a pool averages lose less to rounding than to a narrow range") {
  ValueHistogram histogram;
  for (int i = 0; i < 1000; ++i) {
    histogram.add(std::vector{static_cast<float>(i % 100) / 100, i == 500 ? 3.0F : 0.5F});
  }
  CHECK(histogram.best_range(196).maximum == doctest::Approx(3).epsilon(0.02));
  CHECK(histogram.best_range(196).maximum >= histogram.best_range().maximum);
}

TEST_CASE("a histogram that grows gives the range of one that knew how far it would") {
  std::mt19937 random(8);
  std::normal_distribution<float> dense(0.5F, 0.2F);
  std::vector<float> small(50'000), large(50'000);
  std::ranges::generate(small, [&] { return dense(random); });
  std::ranges::generate(large, [&] { return 8 * dense(random); });
  ValueHistogram grown, known;
  CHECK(grown.add(small));
  CHECK(grown.add(large));
  CHECK(known.add(large));
  CHECK(known.add(small));
  CHECK(grown.best_range().maximum == doctest::Approx(known.best_range().maximum).epsilon(0.03));
  CHECK(grown.best_range().minimum == doctest::Approx(known.best_range().minimum).epsilon(0.03));
}

TEST_CASE("the best range holds all of an even spread, and cuts lone values off a dense one") {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> even(-1.0F, 3.0F);
  std::vector<float> values(100'000);
  std::ranges::generate(values, [&] { return even(random); });
  ValueHistogram spread;
  CHECK(spread.add(values));
  CHECK(spread.best_range().minimum == doctest::Approx(-1).epsilon(0.05));
  CHECK(spread.best_range().maximum == doctest::Approx(3).epsilon(0.05));
  std::normal_distribution<float> dense(0.0F, 0.1F);
  std::ranges::generate(values, [&] { return dense(random); });
  values[17] = 40;
  ValueHistogram lone;
  CHECK(lone.add(values));
  // 4 (40 - m)^2 + 100,000 (m / 255)^2 / 12 is least at m = 40 / (1 + 100,000 / (4 * 12 * 255^2)).
  CHECK(lone.best_range().maximum == doctest::Approx(38.76).epsilon(0.01));
  ValueHistogram broken;
  CHECK_FALSE(broken.add(std::vector{1.0F, kInfinity}));
  CHECK(broken.best_range().maximum == doctest::Approx(1).epsilon(0.05));
  CHECK(ValueHistogram().best_range().maximum == 0);
}
