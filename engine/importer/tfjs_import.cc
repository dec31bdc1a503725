// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/tfjs_import.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/importer/tf_same_padding.h"

namespace cleave::importer {
namespace {

constexpr std::int64_t kMaxInputExtent = 1 << 16;

struct Entry {
  const char* type;
  TfjsHandler handler;
};

constexpr auto kHandlers = std::to_array<Entry>({
    {"Activation", import_tfjs_activation},
    {"Add", import_tfjs_add},
    {"AveragePooling2D", import_tfjs_pooling},
    {"BatchNormalization", import_tfjs_batch_normalization},
    {"Concatenate", import_tfjs_concatenate},
    {"Conv2D", import_tfjs_conv2d},
    {"Dense", import_tfjs_dense},
    {"DepthwiseConv2D", import_tfjs_depthwise_conv2d},
    {"Dropout", import_tfjs_dropout},
    {"Flatten", import_tfjs_flatten},
    {"GlobalAveragePooling2D", import_tfjs_global_average_pooling},
    {"MaxPooling2D", import_tfjs_pooling},
    {"ReLU", import_tfjs_relu},
    {"Reshape", import_tfjs_reshape},
    {"SeparableConv2D", import_tfjs_separable_conv2d},
    {"Softmax", import_tfjs_softmax},
    {"SpatialDropout2D", import_tfjs_dropout},
    {"ZeroPadding2D", import_tfjs_zero_padding},
});

Status set_function(const std::string& function, Node& node) {
  node.kind = NodeKind::kClamp;
  if (function == "relu") {
    node.clamp_min = 0;
  } else if (function == "relu6") {
    node.clamp_min = 0;
    node.clamp_max = 6;
  } else if (function == "sigmoid") {
    node.kind = NodeKind::kSigmoid;
  } else if (function == "softmax") {
    node.kind = NodeKind::kSoftmax;
  } else {
    return {StatusCode::kUnsupported, "activation \"" + function + "\""};
  }
  return Status::ok();
}

}  // namespace

TfjsHandler find_tfjs_handler(const std::string& type) {
  const auto* found = std::find_if(kHandlers.begin(), kHandlers.end(),
                                   [&](const Entry& entry) { return type == entry.type; });
  return found == kHandlers.end() ? nullptr : found->handler;
}

Result<TfjsTensor> single_input(std::span<const TfjsTensor> inputs) {
  if (inputs.size() != 1) {
    return Status(StatusCode::kCorrupt, "has " + std::to_string(inputs.size()) + " inputs, not 1");
  }
  return inputs[0];
}

Status check_channels_last(const TfjsLayer& layer) {
  CLEAVE_ASSIGN_OR_RETURN(const std::string format,
                          layer.config.text("data_format", "channels_last"));
  if (format == "channels_last") return Status::ok();
  return {StatusCode::kUnsupported, "data_format \"" + format + "\""};
}

Status read_tfjs_padding(const TfjsLayer& layer, const Hwc& input, Node& node) {
  CLEAVE_ASSIGN_OR_RETURN(const std::string padding, layer.config.text("padding", "valid"));
  if (padding == "valid") return Status::ok();
  if (padding != "same") return {StatusCode::kUnsupported, "padding \"" + padding + "\""};
  node.padding = same_padding(input, node.window);
  return Status::ok();
}

Result<TfjsTensor> TfjsImport::add_input(const std::string& name,
                                         std::span<const std::int64_t> batch_shape) {
  const bool is_image = batch_shape.size() == 4;
  if (!is_image && batch_shape.size() != 2) {
    return Status(StatusCode::kUnsupported, "the input is neither a picture nor a vector");
  }
  for (const std::int64_t extent : batch_shape.subspan(1)) {
    if (extent < 1 || extent > kMaxInputExtent) {
      return Status(StatusCode::kUnsupported,
                    "the input's size is not fixed; save the model with a fixed input shape");
    }
  }
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(batch_shape[i]); };
  const Hwc shape = is_image ? Hwc{at(1), at(2), at(3)} : Hwc{1, 1, at(1)};
  graph_.input = graph_.add_value(name, shape);
  TfjsTensor input{graph_.input, view_nhwc(shape)};
  if (!is_image) input.view.dims.erase(input.view.dims.begin() + 1, input.view.dims.end() - 1);
  return input;
}

Result<ValueId> TfjsImport::image(const TfjsTensor& input) const {
  if (input.view == view_nhwc(shape(input))) return input.value;
  return Status(StatusCode::kUnsupported, "works on a flattened picture");
}

Result<TfjsTensor> TfjsImport::append(Node node, std::optional<LayoutView> view) {
  CLEAVE_ASSIGN_OR_RETURN(const Hwc out, infer_shape(graph_, node));
  node.output = graph_.add_value(node.name, out);
  TfjsTensor result{node.output, view ? *std::move(view) : view_nhwc(out)};
  graph_.nodes.push_back(std::move(node));
  return result;
}

Result<TfjsTensor> TfjsImport::emit(const TfjsLayer& layer, Node node,
                                    std::optional<LayoutView> view, const char* suffix) {
  node.name = layer.name + suffix;
  node.source_type = layer.type;
  return append(std::move(node), std::move(view));
}

Result<TfjsTensor> TfjsImport::emit_marker(const TfjsLayer& layer, const TfjsTensor& input,
                                           LayoutView view) {
  Node node;
  node.kind = NodeKind::kMarker;
  node.inputs = {input.value};
  return emit(layer, std::move(node), std::move(view));
}

Result<TfjsTensor> TfjsImport::activate(const std::string& name, const std::string& type,
                                        const TfjsTensor& input, const std::string& function) {
  if (function == "linear") return input;
  Node node;
  node.name = name;
  node.source_type = type;
  node.inputs = {input.value};
  CLEAVE_RETURN_IF_ERROR(set_function(function, node));
  if (node.kind == NodeKind::kSoftmax) {
    const auto dim = dim_of_axis(input.view, shape(input), Axis::kChannel);
    if (!dim || *dim + 1 != input.view.dims.size()) {
      return Status(StatusCode::kUnsupported, "a softmax over anything but channels");
    }
  }
  return append(std::move(node), input.view);
}

Result<TfjsTensor> TfjsImport::activate_layer(const TfjsLayer& layer, const TfjsTensor& input) {
  CLEAVE_ASSIGN_OR_RETURN(const std::string function, layer.config.text("activation", "linear"));
  return activate(layer.name + "/" + function, "Activation", input, function);
}

}  // namespace cleave::importer
