// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/importer/tfjs_import.h"

namespace cleave::importer {
namespace {

Result<std::uint32_t> padding_extent(const Json& value) {
  CLEAVE_ASSIGN_OR_RETURN(const std::int64_t extent, json_integer(value));
  if (extent < 0 || extent > 4096) {
    return Status(StatusCode::kCorrupt, "padding of " + std::to_string(extent));
  }
  return static_cast<std::uint32_t>(extent);
}

// One number for before and after, or [before, after].
Result<std::array<std::uint32_t, 2>> padding_pair(const Json& value) {
  if (json_size(&value) == 2) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t before, padding_extent(json_at(value, 0)));
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t after, padding_extent(json_at(value, 1)));
    return std::array{before, after};
  }
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t both, padding_extent(value));
  return std::array{both, both};
}

// A number, [height, width] or [[top, bottom], [left, right]].
Result<Padding2D> read_padding(const TfjsLayer& layer) {
  const Json* padding = layer.config.member("padding");
  if (padding == nullptr) return Padding2D{1, 1, 1, 1};
  const bool pair = json_size(padding) == 2;
  CLEAVE_ASSIGN_OR_RETURN(const auto vertical,
                          padding_pair(pair ? json_at(*padding, 0) : *padding));
  CLEAVE_ASSIGN_OR_RETURN(const auto horizontal,
                          padding_pair(pair ? json_at(*padding, 1) : *padding));
  return Padding2D{vertical[0], horizontal[1], vertical[1], horizontal[0]};
}

Result<TfjsTensor> emit_reshaped(TfjsImport& import, const TfjsLayer& layer,
                                 const TfjsTensor& input,
                                 const std::vector<std::int64_t>& extents) {
  CLEAVE_ASSIGN_OR_RETURN(LayoutView view, reshape_view(input.view, import.shape(input), extents));
  return import.emit_marker(layer, input, std::move(view));
}

}  // namespace

Result<TfjsTensor> import_tfjs_zero_padding(TfjsImport& import, const TfjsLayer& layer,
                                            std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_RETURN_IF_ERROR(check_channels_last(layer));
  CLEAVE_ASSIGN_OR_RETURN(const ValueId value, import.image(input));
  Node node;
  node.kind = NodeKind::kPad;
  node.inputs = {value};
  CLEAVE_ASSIGN_OR_RETURN(node.padding, read_padding(layer));
  return import.emit(layer, std::move(node));
}

Result<TfjsTensor> import_tfjs_flatten(TfjsImport& import, const TfjsLayer& layer,
                                       std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  CLEAVE_RETURN_IF_ERROR(check_channels_last(layer));
  return emit_reshaped(import, layer, input, {1, -1});
}

Result<TfjsTensor> import_tfjs_reshape(TfjsImport& import, const TfjsLayer& layer,
                                       std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  const Json* target = layer.config.member("target_shape");
  if (target == nullptr) return Status(StatusCode::kCorrupt, "has no target_shape");
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::int64_t> extents, json_integers(*target));
  if (extents.size() > 8) return Status(StatusCode::kUnsupported, "more than 8 dimensions");
  extents.insert(extents.begin(), 1);  // the batch
  return emit_reshaped(import, layer, input, extents);
}

// Does something only while training.
Result<TfjsTensor> import_tfjs_dropout(TfjsImport& import, const TfjsLayer& layer,
                                       std::span<const TfjsTensor> inputs) {
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  return import.emit_marker(layer, input, input.view);
}

}  // namespace cleave::importer
