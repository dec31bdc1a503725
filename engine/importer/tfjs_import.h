// SPDX-License-Identifier: Apache-2.0
//
// What the TF.js reader (tfjs_reader.cc, tfjs_topology.cc) and its layer handlers
// (tfjs_layers_*.cc) share. Private to the tfjs_*.cc files.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/importer/graph.h"
#include "engine/importer/layout_view.h"
#include "engine/importer/tfjs_json.h"
#include "engine/importer/tfjs_weights.h"
#include "schemas/status.h"

namespace cleave::importer {

// A layer's output: our value and the axes of Keras' shape ([batch, height, width, channels] or
// flattened). Without a value it stands behind a layer that could not be imported.
struct TfjsTensor {
  ValueId value = kNoValue;
  LayoutView view;
  [[nodiscard]] bool is_poisoned() const { return value == kNoValue; }
};

struct TfjsLayer {
  std::string name;
  std::string type;  // class_name
  TfjsConfig config;
};

class TfjsImport {
 public:
  explicit TfjsImport(TfjsWeights weights) : weights_(std::move(weights)) {
    graph_.source_format = "tfjs";
  }

  [[nodiscard]] Graph& graph() { return graph_; }
  [[nodiscard]] TfjsWeights& weights() { return weights_; }
  [[nodiscard]] const Hwc& shape(const TfjsTensor& tensor) const {
    return graph_.values[tensor.value].shape;
  }

  // Makes the network's input from Keras' shape with the batch in front.
  // Errors: kUnsupported (no fixed picture or vector).
  [[nodiscard]] Result<TfjsTensor> add_input(const std::string& name,
                                             std::span<const std::int64_t> batch_shape);
  // The input as a picture. Errors: kUnsupported (flattened).
  [[nodiscard]] Result<ValueId> image(const TfjsTensor& input) const;

  // Appends `node` (kind, inputs and parameters set) for the layer. Its name is the layer's, with
  // `suffix` for the first of two nodes. The output is seen through `view`; without one as
  // [batch, height, width, channels].
  [[nodiscard]] Result<TfjsTensor> emit(const TfjsLayer& layer, Node node,
                                        std::optional<LayoutView> view = std::nullopt,
                                        const char* suffix = "");
  [[nodiscard]] Result<TfjsTensor> emit_marker(const TfjsLayer& layer, const TfjsTensor& input,
                                               LayoutView view);
  // Appends Keras' activation `function` ("relu", "softmax" ...) as a node named `name`; "linear"
  // appends nothing. Errors: kUnsupported.
  [[nodiscard]] Result<TfjsTensor> activate(const std::string& name, const std::string& type,
                                            const TfjsTensor& input, const std::string& function);
  // The layer's own "activation" member, as a node of its own.
  [[nodiscard]] Result<TfjsTensor> activate_layer(const TfjsLayer& layer, const TfjsTensor& input);

 private:
  [[nodiscard]] Result<TfjsTensor> append(Node node, std::optional<LayoutView> view);

  Graph graph_;
  TfjsWeights weights_;
};

// A layer handler: appends the layer applied to `inputs` (never poisoned, at least one).
using TfjsHandler = Result<TfjsTensor> (*)(TfjsImport& import, const TfjsLayer& layer,
                                           std::span<const TfjsTensor> inputs);
// nullptr when there is none for the class.
[[nodiscard]] TfjsHandler find_tfjs_handler(const std::string& type);

// The one input. Errors: kCorrupt when there are more.
[[nodiscard]] Result<TfjsTensor> single_input(std::span<const TfjsTensor> inputs);
// kUnsupported unless "data_format" is channels_last (or left out).
[[nodiscard]] Status check_channels_last(const TfjsLayer& layer);
// Sets node.padding from the layer's "padding" (same or valid) and node.window.
[[nodiscard]] Status read_tfjs_padding(const TfjsLayer& layer, const Hwc& input, Node& node);

// --- layer handlers ---
// tfjs_layers_convolution.cc
Result<TfjsTensor> import_tfjs_conv2d(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_depthwise_conv2d(TfjsImport&, const TfjsLayer&,
                                                std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_separable_conv2d(TfjsImport&, const TfjsLayer&,
                                                std::span<const TfjsTensor>);
// tfjs_layers_dense.cc
Result<TfjsTensor> import_tfjs_dense(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
// tfjs_layers_normalization.cc
Result<TfjsTensor> import_tfjs_batch_normalization(TfjsImport&, const TfjsLayer&,
                                                   std::span<const TfjsTensor>);
// tfjs_layers_pooling.cc
Result<TfjsTensor> import_tfjs_pooling(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_global_average_pooling(TfjsImport&, const TfjsLayer&,
                                                      std::span<const TfjsTensor>);
// tfjs_layers_activation.cc
Result<TfjsTensor> import_tfjs_activation(TfjsImport&, const TfjsLayer&,
                                          std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_relu(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_softmax(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
// tfjs_layers_merge.cc
Result<TfjsTensor> import_tfjs_add(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_concatenate(TfjsImport&, const TfjsLayer&,
                                           std::span<const TfjsTensor>);
// tfjs_layers_layout.cc
Result<TfjsTensor> import_tfjs_zero_padding(TfjsImport&, const TfjsLayer&,
                                            std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_flatten(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_reshape(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);
Result<TfjsTensor> import_tfjs_dropout(TfjsImport&, const TfjsLayer&, std::span<const TfjsTensor>);

}  // namespace cleave::importer
