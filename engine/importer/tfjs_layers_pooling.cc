// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {

using Extents = std::array<std::uint32_t, 2>;

Result<TfjsTensor> import_tfjs_pooling(TfjsImport& import, const TfjsLayer& layer,
                                       std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_RETURN_IF_ERROR(check_channels_last(layer));
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  CLEAVE_ASSIGN_OR_RETURN(const Extents window, layer.config.extents("pool_size", {2, 2}));
  CLEAVE_ASSIGN_OR_RETURN(const Extents strides, layer.config.extents("strides", window));
  Node node;
  node.kind = layer.type == "MaxPooling2D" ? NodeKind::kMaxPool2D : NodeKind::kAveragePool2D;
  node.inputs = {value};
  node.window = {window[0], window[1], strides[0], strides[1], 1, 1};
  CLEAVE_RETURN_IF_ERROR(read_tfjs_padding(layer, import.shape(input), node));
  return import.emit(layer, std::move(node));
}

Result<TfjsTensor> import_tfjs_global_average_pooling(TfjsImport& import, const TfjsLayer& layer,
                                                      std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_RETURN_IF_ERROR(check_channels_last(layer));
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  CLEAVE_ASSIGN_OR_RETURN(const bool keep_dims, layer.config.flag("keepdims", false));
  Node node;
  node.kind = NodeKind::kGlobalAveragePool;
  node.inputs = {value};
  LayoutView view = view_nhwc(Hwc{1, 1, import.shape(input).channels});
  if (!keep_dims) view.dims.erase(view.dims.begin() + 1, view.dims.begin() + 3);
  return import.emit(layer, std::move(node), std::move(view));
}

}  // namespace cleave::importer
