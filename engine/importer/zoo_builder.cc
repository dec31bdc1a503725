// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/zoo_builder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/importer/zoo_random.h"

namespace cleave::importer {
namespace {

void set_window(Node& node, const ConvolutionShape& shape) {
  node.window.height = node.window.width = shape.window;
  node.window.stride_height = node.window.stride_width = shape.stride;
  node.padding = {shape.padding, shape.padding, shape.padding, shape.padding};
}

GraphPreprocessing imagenet_preprocessing() {
  GraphPreprocessing preprocessing;
  preprocessing.mean = {123.675f, 116.28f, 103.53f};
  preprocessing.deviation = {58.395f, 57.12f, 57.375f};
  return preprocessing;
}

}  // namespace

ZooBuilder::ZooBuilder(std::string name, const ZooOptions& options) : seed_(options.seed) {
  graph_.name = std::move(name);
  graph_.source_format = "zoo";
  graph_.licence = "weights are random numbers";
  graph_.preprocessing = imagenet_preprocessing();
  graph_.input = current_ = graph_.add_value("input", {options.input, options.input, 3});
  second_moments_.push_back(1.0);
}

void ZooBuilder::begin_layer(std::string name, std::string kind) {
  graph_.layers.push_back({std::move(name), std::move(kind)});
}

// The layer's name and `suffix`, numbered from the second node of a layer that is called so.
std::string ZooBuilder::node_name(const char* suffix) const {
  const std::string name = graph_.layers.back().name + suffix;
  const auto namesakes =
      std::count_if(graph_.nodes.begin(), graph_.nodes.end(),
                    [&](const Node& node) { return node.name.starts_with(name); });
  return namesakes == 0 ? name : name + std::to_string(namesakes + 1);
}

Node ZooBuilder::make_node(NodeKind kind, const char* suffix) const {
  Node node;
  node.kind = kind;
  node.name = node_name(suffix);
  node.source_type = graph_.layers.back().kind;
  node.inputs = {current_};
  node.layers = {static_cast<std::uint32_t>(graph_.layers.size() - 1)};
  return node;
}

// After the first node that does not fit, nothing more is added; finish() tells.
void ZooBuilder::append(Node node, double second_moment) {
  if (!error_.is_ok()) return;
  auto shape = infer_shape(graph_, node);
  if (!shape.is_ok()) {
    error_ = shape.status();
    return;
  }
  node.output = current_ = graph_.add_value(node.name, *shape);
  second_moments_.push_back(second_moment);
  graph_.nodes.push_back(std::move(node));
}

std::uint64_t ZooBuilder::next_stream_seed() {
  return SplitMix64(SplitMix64(seed_).next() + streams_++).next();
}

std::vector<float> ZooBuilder::he_normal(std::size_t count, std::size_t fan_in) {
  SplitMix64 random(next_stream_seed());
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
  std::vector<float> weights(count);
  for (float& w : weights) w = static_cast<float>(random.normal() * deviation);
  return weights;
}

std::vector<float> ZooBuilder::small_bias(std::size_t count) {
  SplitMix64 random(next_stream_seed());
  std::vector<float> bias(count);
  for (float& b : bias) b = static_cast<float>(random.normal() * 0.05);
  return bias;
}

void ZooBuilder::conv2d(std::uint32_t output_channels, ConvolutionShape shape, bool with_bias) {
  if (!error_.is_ok()) return;
  Node node = make_node(NodeKind::kConv2D, ".conv");
  set_window(node, shape);
  const std::size_t fan_in = std::size_t{shape.window} * shape.window * this->shape().channels;
  node.kernel = he_normal(fan_in * output_channels, fan_in);
  if (with_bias) node.bias = small_bias(output_channels);
  append(std::move(node), 2.0 * moment());
}

void ZooBuilder::depthwise(ConvolutionShape shape) {
  if (!error_.is_ok()) return;
  Node node = make_node(NodeKind::kDepthwiseConv2D, ".depthwise");
  set_window(node, shape);
  const std::size_t taps = std::size_t{shape.window} * shape.window;
  node.kernel = he_normal(taps * this->shape().channels, taps);
  append(std::move(node), 2.0 * moment());
}

void ZooBuilder::fully_connected(std::uint32_t outputs) {
  if (!error_.is_ok()) return;
  Node node = make_node(NodeKind::kFullyConnected, ".linear");
  const std::size_t inputs = std::size_t{shape().height} * shape().width * shape().channels;
  node.kernel = he_normal(inputs * outputs, inputs);
  node.bias = small_bias(outputs);
  append(std::move(node), 2.0 * moment());
}

// Seeded learned factor, shift and running statistics, joined as inference joins them.
void ZooBuilder::batch_norm() {
  if (!error_.is_ok()) return;
  constexpr double kEpsilon = 1e-5;
  Node node = make_node(NodeKind::kAffine, ".norm");
  SplitMix64 random(next_stream_seed());
  for (std::uint32_t c = 0; c < shape().channels; ++c) {
    const double gamma = 0.75 + 0.5 * random.uniform();
    const double beta = 0.1 * random.normal();
    const double variance = moment() * (0.8 + 0.4 * random.uniform());
    const double mean = 0.1 * std::sqrt(moment()) * random.normal();
    const double factor = gamma / std::sqrt(variance + kEpsilon);
    node.kernel.push_back(static_cast<float>(factor));
    node.bias.push_back(static_cast<float>(beta - mean * factor));
  }
  append(std::move(node), 1.0);
}

void ZooBuilder::relu() {
  Node node = make_node(NodeKind::kClamp, ".relu");
  node.clamp_min = 0;
  append(std::move(node), moment() / 2);
}

void ZooBuilder::relu6() {
  Node node = make_node(NodeKind::kClamp, ".relu6");
  node.clamp_min = 0;
  node.clamp_max = 6;
  append(std::move(node), moment() / 2);
}

void ZooBuilder::max_pool(std::uint32_t window, std::uint32_t stride) {
  Node node = make_node(NodeKind::kMaxPool2D, ".pool");
  set_window(node, {window, stride, 0});
  append(std::move(node), moment());
}

void ZooBuilder::average_pool_to(std::uint32_t side) {
  const std::uint32_t window = shape().height / side;
  Node node = make_node(NodeKind::kAveragePool2D, ".pool");
  set_window(node, {window, window, 0});
  append(std::move(node), moment());
}

void ZooBuilder::global_average_pool() {
  append(make_node(NodeKind::kGlobalAveragePool, ".pool"), moment());
}

void ZooBuilder::dropout() { append(make_node(NodeKind::kMarker, ".dropout"), moment()); }

void ZooBuilder::add(ValueId earlier) {
  Node node = make_node(NodeKind::kAdd, ".add");
  node.inputs.push_back(earlier);
  append(std::move(node), moment() + second_moments_[earlier]);
}

Result<Graph> ZooBuilder::finish() {
  CLEAVE_RETURN_IF_ERROR(error_);
  graph_.output = current_;
  CLEAVE_RETURN_IF_ERROR(validate(graph_));
  return std::move(graph_);
}

}  // namespace cleave::importer
