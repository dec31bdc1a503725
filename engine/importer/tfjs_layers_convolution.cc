// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {
namespace {

using Extents = std::array<std::uint32_t, 2>;

Status read_window(const TfjsLayer& layer, const Hwc& input, Node& node) {
  CLEAVE_RETURN_IF_ERROR(check_channels_last(layer));
  CLEAVE_ASSIGN_OR_RETURN(const Extents window, layer.config.extents("kernel_size", {0, 0}));
  if (window[0] == 0) return {StatusCode::kCorrupt, "has no kernel_size"};
  CLEAVE_ASSIGN_OR_RETURN(const Extents strides, layer.config.extents("strides", {1, 1}));
  CLEAVE_ASSIGN_OR_RETURN(const Extents dilation, layer.config.extents("dilation_rate", {1, 1}));
  node.window = {window[0], window[1], strides[0], strides[1], dilation[0], dilation[1]};
  return read_tfjs_padding(layer, input, node);
}

Status read_bias(TfjsImport& import, const TfjsLayer& layer, std::int64_t channels, Node& node) {
  CLEAVE_ASSIGN_OR_RETURN(const bool use_bias, layer.config.flag("use_bias", true));
  if (!use_bias) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(node.bias, import.weights().take(layer.name, "bias", {channels}));
  return Status::ok();
}

// [height][width][input][output], as Keras has it, to [output][height][width][input].
std::vector<float> output_first(const std::vector<float>& kernel, std::size_t outputs) {
  const std::size_t rest = kernel.size() / outputs;
  std::vector<float> result(kernel.size());
  for (std::size_t i = 0; i < rest; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) result[o * rest + i] = kernel[i * outputs + o];
  }
  return result;
}

// A depthwise node with window, padding and kernel set; Keras' [height][width][input][multiplier]
// is our [height][width][output].
Result<Node> depthwise_node(TfjsImport& import, const TfjsLayer& layer, ValueId input) {
  Node node;
  node.kind = NodeKind::kDepthwiseConv2D;
  node.inputs = {input};
  const Hwc in = import.graph().values[input].shape;
  CLEAVE_RETURN_IF_ERROR(read_window(layer, in, node));
  CLEAVE_ASSIGN_OR_RETURN(node.multiplier, layer.config.extent("depth_multiplier", 1));
  CLEAVE_ASSIGN_OR_RETURN(node.kernel, import.weights().take(layer.name, "depthwise_kernel",
                                                             {node.window.height, node.window.width,
                                                              in.channels, node.multiplier}));
  return node;
}

// "filters" may be beyond what a window extent may be.
Result<std::uint32_t> read_filters(const TfjsLayer& layer) {
  const Json* filters = layer.config.member("filters");
  if (filters == nullptr) return Status(StatusCode::kCorrupt, "has no filters");
  CLEAVE_ASSIGN_OR_RETURN(const std::int64_t count, json_integer(*filters));
  if (count < 1 || count > 65536) return Status(StatusCode::kCorrupt, "filters are out of range");
  return static_cast<std::uint32_t>(count);
}

}  // namespace

Result<TfjsTensor> import_tfjs_conv2d(TfjsImport& import, const TfjsLayer& layer,
                                      std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  Node node;
  node.kind = NodeKind::kConv2D;
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  node.inputs = {value};
  const Hwc in = import.shape(input);
  CLEAVE_RETURN_IF_ERROR(read_window(layer, in, node));
  CLEAVE_ASSIGN_OR_RETURN(node.groups, layer.config.extent("groups", 1));
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t filters, read_filters(layer));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> kernel,
                          import.weights().take(layer.name, "kernel",
                                                {node.window.height, node.window.width,
                                                 in.channels / node.groups, filters}));
  node.kernel = output_first(kernel, filters);
  CLEAVE_RETURN_IF_ERROR(read_bias(import, layer, filters, node));
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor output, import.emit(layer, std::move(node)));
  return import.activate_layer(layer, output);
}

Result<TfjsTensor> import_tfjs_depthwise_conv2d(TfjsImport& import, const TfjsLayer& layer,
                                                std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  CLEAVE_ASSIGN_OR_RETURN(Node node, depthwise_node(import, layer, value));
  const std::int64_t channels = std::int64_t{import.shape(input).channels} * node.multiplier;
  CLEAVE_RETURN_IF_ERROR(read_bias(import, layer, channels, node));
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor output, import.emit(layer, std::move(node)));
  return import.activate_layer(layer, output);
}

Result<TfjsTensor> import_tfjs_separable_conv2d(TfjsImport& import, const TfjsLayer& layer,
                                                std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  CLEAVE_ASSIGN_OR_RETURN(Node depthwise, depthwise_node(import, layer, value));
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor middle,
                          import.emit(layer, std::move(depthwise), std::nullopt, "/depthwise"));

  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t filters, read_filters(layer));
  Node pointwise;
  pointwise.kind = NodeKind::kConv2D;
  pointwise.inputs = {middle.value};
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<float> kernel,
                          import.weights().take(layer.name, "pointwise_kernel",
                                                {1, 1, import.shape(middle).channels, filters}));
  pointwise.kernel = output_first(kernel, filters);
  CLEAVE_RETURN_IF_ERROR(read_bias(import, layer, filters, pointwise));
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor output, import.emit(layer, std::move(pointwise)));
  return import.activate_layer(layer, output);
}

}  // namespace cleave::importer
